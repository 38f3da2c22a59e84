"""What is made of the choice: the probe, the network that chose, or one of all pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
import torch

from graftwork.data.folds import NEVER
from graftwork.metrics.softmax import softmax
from graftwork.models.network.classifier import Classifier
from graftwork.models.network.tensors import within
from graftwork.process import distributed
from graftwork.selecting.asked import asked
from graftwork.selecting.first_head import FirstHead
from graftwork.selecting.record import GoneBack, WayPoint
from graftwork.training.attempt import Attempted, going_on, head_of, new_network, state_of, train_on
from graftwork.training.audit_record import Audit
from graftwork.training.choice_record import record_of
from graftwork.training.course import Course
from graftwork.training.history import History
from graftwork.training.movement import audited
from graftwork.training.plan_table import say_drift
from graftwork.training.probe_model import of_new, out_of_fold, probe_facts, probed
from graftwork.training.source import Finetuned, Model, Source
from graftwork.training.stored_prefix import logits_of
from graftwork.training.trained import Trained

State = Mapping[str, torch.Tensor]
Chosen = tuple[np.ndarray, np.ndarray]  # positions of held-out pictures, their probabilities


@dataclass(frozen=True)
class Outcome:
    """What is made of the choice."""

    source: Source
    fold: np.ndarray
    attempts: list[Attempted]
    points: list[WayPoint]
    watched: Mapping[str, pd.DataFrame]  # of trainings on everything, by split
    history: History
    gone_back: list[GoneBack]
    new: tuple[pd.DataFrame, np.ndarray] | None = (
        None  # as `Finetuned.new`, by the network that chose
    )

    def asked_of_new(self, share: float) -> Outcome:
        """With what the first network, kept at this share of the way, says of new pictures."""
        new, selection = self.source.held_out.new, self.source.experiment.selection
        if new is None or not selection.tells_of_new(int((self.fold != NEVER).sum())):
            return self
        attempt, source = self.attempts[0], self.source
        self._place(attempt.classifier, attempt.trained.start, attempt.end, share)
        rows = new.iloc[asked(len(new))]
        logits = logits_of(source.experiment, source.artifacts, attempt.classifier, rows, None)
        return replace(self, new=(rows, softmax(logits)))

    def as_probe(self, destroyed: bool) -> Finetuned:
        """Nothing of the training is kept: the probe of all pictures is as good or better."""
        source, head = self.source, self.source.head
        assert head is not None, "a strategy that may end where it began has a computed head"
        facts = {**self._facts(), "trained_share": 0.0}
        why = (
            "the probe that training began from, since every attempt destroyed the network"
            if destroyed
            else "the probe that training began from: no point further on the way is better"
        )
        record = self._record(why, self.fold, len(source.held_out.rows), destroyed)
        chosen = out_of_fold(source.held_out, head)
        nothing = Audit.of_nothing(source.experiment.transfer.batch_norm)
        return Finetuned(
            probed(source, head), self.history.rows, facts, record, chosen, None, nothing,
            of_new(source, head),
        )  # fmt: skip

    def as_trained(self, share: float, chosen: Chosen) -> Finetuned:
        """The network that has not seen the held-out pictures."""
        attempt = self.attempts[0]
        self._place(attempt.classifier, attempt.trained.start, attempt.end, share)
        fitted = int((self.fold == NEVER).sum())
        return self._kept(attempt.classifier, attempt.trained, share, chosen, fitted)

    def trained_on(self, share: float, chosen: Chosen) -> Finetuned:
        """The same network, trained on with the held-out pictures too, for a few gentle epochs.

        What it has learnt of the others is not learnt again. Penalties do not come back. It is kept
        at the same share of the way from the start that all pictures give; where it is destroyed,
        the network that chose is what there is.
        """
        source, attempt = self.source, self.attempts[0]
        trainer, count = source.experiment.trainer, len(self.fold)
        classifier = attempt.classifier
        classifier.load_state_dict(attempt.end)
        factor = trainer.refit_rate * attempt.trained.factor
        course = Course(trainer.refit_epochs, None, factor, None, goes_on=True)
        trained = self._on_everything(going_on(source, attempt.trained.ended), classifier, course)
        result = replace(self, gone_back=[*self.gone_back, *trained.gone_back])
        if trained.destroyed:
            return result.as_trained(share, chosen)
        first = state_of(new_network(source, source.head))
        self._place(classifier, first, state_of(classifier), share)
        before = attempt.trained.plan
        plan = trained.plan if before is None else before.and_then(trained.plan)
        trained = replace(trained, start=first, plan=plan)
        return result._kept(classifier, trained, share, chosen, count)

    def trained_again(self, share: float, chosen: Chosen) -> Finetuned:
        """A new training on everything, as many steps long, kept at the same share of the way."""
        source, count = self.source, len(self.fold)
        firsts = [attempt.trained for attempt in self.attempts]
        steps, factor = max(f.steps for f in firsts), min(f.factor for f in firsts)
        classifier = new_network(source, source.head)
        known = _mean_by_epoch([first.validated for first in firsts])
        trained = self._on_everything(source, classifier, Course(None, steps, factor, known))
        result = replace(self, gone_back=[*self.gone_back, *trained.gone_back])
        if trained.destroyed:
            return result.as_probe(destroyed=True)
        self._place(classifier, trained.start, state_of(classifier), share)
        return result._kept(classifier, trained, share, chosen, count)

    def _on_everything(self, source: Source, classifier: Classifier, course: Course) -> Trained:
        everything = np.ones(len(self.fold), bool)
        return train_on(source, classifier, everything, self.watched, self.history, course)

    def _place(self, classifier: Classifier, start: State, end: State, share: float) -> None:
        self.source.experiment.transfer.average.place(classifier, start, end, share)

    def _kept(
        self, classifier: Classifier, trained: Trained, share: float, chosen: Chosen, fitted: int
    ) -> Finetuned:
        source = self.source
        facts = {**self._facts(), "trained_share": share, "kept_epoch": trained.epoch}
        words = [trained.chose] if trained.chose else []
        if len(self.points) > 1:
            way = "how far to go from the first weights to the trained ones"
            words.append(f"{way}: {share:g} of the way")
        chose = ", and ".join(words) or "nothing: they only tell how good the network is"
        record = self._record(chose, self.fold, fitted, False)
        order, probabilities = chosen
        held_out = (source.held_out.rows.iloc[order].reset_index(drop=True), probabilities)
        start = self._start(trained)
        model = Model(classifier, head_of(source), classifier.input_spec)
        audit = self._audit(classifier, trained)
        return Finetuned(
            model, self.history.rows, facts, record, held_out if len(order) else None, start, audit,
            self.new,
        )  # fmt: skip

    def _audit(self, classifier: Classifier, trained: Trained) -> Audit:
        """How far what is kept is from where training began; raises where it should not be."""
        batch_norm = self.source.experiment.transfer.batch_norm
        if trained.plan is None:
            return Audit.of_nothing(batch_norm)
        audit = audited(trained.plan, classifier, trained.start)
        if distributed.rank() == 0:
            say_drift(audit)
        return audit

    def _start(self, trained: Trained) -> FirstHead | None:
        """The head that this training began from."""
        if self.source.head is None:
            return None
        shares = self.source.experiment.transfer.average.trained_shares
        each = [attempt.probabilities[shares.index(0)] for attempt in self.attempts if 0 in shares]
        first = {name: tensor.numpy() for name, tensor in trained.start.items()}
        return FirstHead(
            self.source.head.head, within(first, "head."), self.source.num_classes,
            np.concatenate(each) if each else None,
        )  # fmt: skip

    def _facts(self) -> dict[str, Any]:
        first = self.attempts[0].trained
        head = self.source.head
        facts: dict[str, Any] = probe_facts(head) if head is not None else {}
        facts |= {
            "epochs": len(self.history.rows) - (head is not None),
            "trainable_parameters": first.trainable,
        }
        if first.prefix is not None:
            facts["stored_prefix"] = first.prefix.split.boundary
        return facts | ({"penalty_parameters": first.further} if first.further else {})

    def _record(self, chose: str, fold: np.ndarray, fitted: int, destroyed: bool) -> Any:
        points = self.points
        if destroyed:  # whatever they said of a training that came back
            points = [replace(point, chosen=point.share == 0) for point in points]
        return record_of(
            self.source, fold, chose, fitted=fitted, gone_back=self.gone_back,
            shares=points if len(points) > 1 else None, ended_as_start=destroyed,
        )  # fmt: skip


def _mean_by_epoch(losses: Sequence[Sequence[float]]) -> list[float]:
    """Of the trainings that came so far."""
    each = zip_longest(*losses)
    return [float(np.mean([loss for loss in found if loss is not None])) for found in each]
