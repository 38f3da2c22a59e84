"""Networks: trained without the pictures that are held out, which then choose how much is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from graftwork.evaluating.folds import NEVER, most_typical
from graftwork.evaluating.record import GoneBack, WayPoint
from graftwork.evaluating.start import Start
from graftwork.evaluating.way import chosen_point
from graftwork.metrics.log_loss import log_losses
from graftwork.split_predictions import network_logits, softmax
from graftwork.training.auxiliary import auxiliary_heads
from graftwork.training.choice_record import record_of
from graftwork.training.fitting import Trained, train
from graftwork.training.heads import out_of_fold, probe_facts, probed
from graftwork.training.history import Row, Told
from graftwork.training.source import Finetuned, Model, Source

if TYPE_CHECKING:
    from graftwork.artifacts import Artifacts
    from graftwork.classifier import Classifier
    from graftwork.experiment import Experiment
    from graftwork.transfer.parts import FittedHead

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Attempted:
    """A network trained without some pictures, and what it said of them along the way."""

    classifier: Classifier  # at the end of the way
    trained: Trained
    end: dict[str, torch.Tensor]  # the state dict there
    probabilities: list[np.ndarray]  # [held out, num_classes] at each share


def choose_network(
    source: Source, test: pd.DataFrame | None, told: Told, rows: list[Row]
) -> Finetuned:
    """Trains, lets the held-out pictures choose, and trains on everything where that is wanted.

    Args:
        test: as of `finetune`.
        rows: curves so far.
    """
    fold = _fold(source)
    used = sorted(set(fold.tolist()) - {NEVER})
    watched = {} if test is None else {"test": test}
    shares = source.experiment.transfer.trained_shares
    attempts = [
        _attempt(source, fold == which, watched, told, rows, shares)
        for which in used or [NEVER - 1]  # no picture has that fold: everything is fitted
    ]
    order = np.concatenate([np.flatnonzero(fold == which) for which in used] or [np.array([], int)])
    pooled = [
        np.concatenate(parts) for parts in zip(*(a.probabilities for a in attempts), strict=True)
    ]
    share, points = chosen_point(shares, pooled, source.held_out.labels[order])
    destroyed = any(attempt.trained.destroyed for attempt in attempts)
    chosen = dict(zip(shares, pooled, strict=True))[share]
    gone_back = [gone for attempt in attempts for gone in attempt.trained.gone_back]
    result = _Result(source, fold, attempts, points, rows, gone_back)
    if destroyed or share == 0:
        return result.as_probe(destroyed)
    if used and (len(used) > 1 or source.experiment.trainer.refits(len(fold))):
        return result.refitted(share, (order, chosen), watched, told)
    return result.as_trained(share, (order, chosen))


def _fold(source: Source) -> np.ndarray:
    """What is held out of networks: each of several folds in turn, or the most typical one."""
    ways = source.held_out.network_folds
    used = set(ways[0].tolist()) - {NEVER}
    if source.experiment.selection.folds > 1 or len(used) < 2:
        return ways[0]
    hardness = np.full((len(ways[0]), 2), np.nan)
    if source.head is not None:
        known = ~np.isnan(source.head.held_out[:, 0])
        said, labels = source.head.held_out[known], source.held_out.labels[known]
        hardness[known] = np.stack([log_losses(said, labels), said.argmax(1) != labels], 1)
    return most_typical(ways, hardness)


def _attempt(
    source: Source,
    out: np.ndarray,
    watched: Mapping[str, pd.DataFrame],
    told: Told,
    rows: list[Row],
    shares: Sequence[float],
) -> Attempted:
    """A network that has not seen the pictures of `out`, booleans `[n]`."""
    experiment, held_out = source.experiment, source.held_out
    head = source.head_without(out) if out.any() else source.head
    away = held_out.rows[out].reset_index(drop=True)
    keep = experiment.trainer.keep
    best = keep == "best" or (keep == "auto" and len(away) >= experiment.selection.min_val)
    splits = {"val": away, **watched} if len(away) else dict(watched)
    trained, classifier = _trained(source, head, ~out, splits, told, rows, keep_best=best)
    end = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    found = []
    for share in shares:
        if share == 0 and head is not None and source.features is not None:
            logits = head.logits(source.features[out])  # stored: no pass through the network
        else:
            go(classifier, trained.start, end, share)
            logits = network_logits(experiment, source.artifacts, classifier, away)
        found.append(softmax(logits) if len(away) else np.zeros((0, source.num_classes)))
    return Attempted(classifier, trained, end, found)


def _trained(
    source: Source,
    head: FittedHead | None,
    fitted: np.ndarray,
    watched: Mapping[str, pd.DataFrame],
    told: Told,
    rows: list[Row],
    *,
    keep_best: bool = False,
    steps: int | None = None,
    factor: float = 1.0,
) -> tuple[Trained, Classifier]:
    experiment = source.experiment
    classifier = new_classifier(experiment, source.artifacts, head, source.num_classes)
    weight = experiment.model.auxiliary_weight
    with auxiliary_heads(classifier, weight, source.num_classes, experiment.seed):
        trained = train(
            experiment, source.artifacts, classifier,
            source.held_out.rows[fitted].reset_index(drop=True), watched, source.num_classes,
            told, rows, keep_best=keep_best, steps=steps, factor=factor,
        )  # fmt: skip
    return trained, classifier


def new_classifier(
    experiment: Experiment, artifacts: Artifacts, head: FittedHead | None, num_classes: int
) -> Classifier:
    """The network as it stands before its first step; the same for the same seed."""
    from graftwork.engines import backbone

    classifier = backbone.build(experiment, artifacts)
    torch.manual_seed(experiment.seed)
    classifier.head = experiment.model.head.build(classifier.num_features, num_classes)
    if head is not None:
        weight, bias = map(torch.from_numpy, (head.weight, head.bias))
        classifier.head.load_state_dict({"weight": weight, "bias": bias})
    return classifier


def go(classifier: Classifier, start: State, end: State, share: float) -> None:
    """Sets the weights to a point on the way; 1 gives the end and 0 the start, bit for bit."""
    for name, tensor in classifier.state_dict().items():
        if share in (0, 1) or not tensor.is_floating_point():
            tensor.copy_((start if share == 0 else end)[name])
        else:
            tensor.copy_(start[name].lerp(end[name], share))


Chosen = tuple[np.ndarray, np.ndarray]  # positions of held-out pictures, their probabilities


@dataclass(frozen=True)
class _Result:
    """What is made of the choice."""

    source: Source
    fold: np.ndarray
    attempts: list[Attempted]
    points: list[WayPoint]
    rows: list[Row]
    gone_back: list[GoneBack]

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
        return Finetuned(probed(source, head), self.rows, facts, record, chosen, None)

    def as_trained(self, share: float, chosen: Chosen) -> Finetuned:
        """The network that has not seen the held-out pictures, where they speak for."""
        attempt = self.attempts[0]
        go(attempt.classifier, attempt.trained.start, attempt.end, share)
        fitted = int((self.fold == NEVER).sum())
        return self._kept(attempt.classifier, attempt.trained, share, chosen, fitted)

    def refitted(
        self, share: float, chosen: Chosen, watched: Mapping[str, pd.DataFrame], told: Told
    ) -> Finetuned:
        """Trained again on everything, as many steps, and kept at the same share of the way."""
        source = self.source
        everything = np.ones(len(self.fold), bool)
        firsts = [attempt.trained for attempt in self.attempts]
        steps, factor = max(f.steps for f in firsts), min(f.factor for f in firsts)
        trained, classifier = _trained(
            source, source.head, everything, watched, told, self.rows, steps=steps, factor=factor
        )
        result = replace(self, gone_back=[*self.gone_back, *trained.gone_back])
        if trained.destroyed:
            return result.as_probe(destroyed=True)
        end = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
        go(classifier, trained.start, end, share)
        return result._kept(classifier, trained, share, chosen, len(everything))

    def _kept(
        self, classifier: Classifier, trained: Trained, share: float, chosen: Chosen, fitted: int
    ) -> Finetuned:
        source = self.source
        facts = {**self._facts(), "trained_share": share, "kept_epoch": trained.epoch}
        words = ["the epoch: the one with the highest top-1"] if trained.chose_epoch else []
        if len(self.points) > 1:
            way = "how far to go from the first weights to the trained ones"
            words.append(f"{way}: {share:g} of the way")
        chose = ", and ".join(words) or "nothing: they only tell how good the network is"
        record = self._record(chose, self.fold, fitted, False)
        order, probabilities = chosen
        held_out = (source.held_out.rows.iloc[order].reset_index(drop=True), probabilities)
        start = self._start(trained)
        model = Model(classifier, classifier.input_spec)
        return Finetuned(model, self.rows, facts, record, held_out if len(order) else None, start)

    def _start(self, trained: Trained) -> Start | None:
        """The head that this training began from."""
        if self.source.head is None:
            return None
        shares = self.source.experiment.transfer.trained_shares
        each = [attempt.probabilities[shares.index(0)] for attempt in self.attempts if 0 in shares]
        weight, bias = (trained.start[f"head.{name}"].numpy() for name in ("weight", "bias"))
        return Start(weight, bias, np.concatenate(each) if each else None)

    def _facts(self) -> dict[str, Any]:
        first = self.attempts[0].trained
        head = self.source.head
        facts: dict[str, Any] = probe_facts(head) if head is not None else {}
        facts |= {
            "epochs": len(self.rows) - (head is not None),
            "trainable_parameters": first.trainable,
        }
        return facts | ({"auxiliary_parameters": first.auxiliary} if first.auxiliary else {})

    def _record(self, chose: str, fold: np.ndarray, fitted: int, destroyed: bool) -> Any:
        points = self.points
        if destroyed:  # whatever they said of a training that came back
            points = [replace(point, chosen=point.share == 0) for point in points]
        return record_of(
            self.source, fold, chose, fitted=fitted, gone_back=self.gone_back,
            shares=points if len(points) > 1 else None, ended_as_start=destroyed,
        )  # fmt: skip
