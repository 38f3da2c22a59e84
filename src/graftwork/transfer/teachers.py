"""What is added to the objective: answers of other networks that are to be given again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graftwork.config.errors import UserError, check_range, nearest_first
from graftwork.model_folder.contents import CONTRACT, read_contract
from graftwork.transfer.parts import Facts, Penalty

if TYPE_CHECKING:
    from graftwork.models.network.classifier import Classifier
    from graftwork.transfer.at_hand import AtHand
    from graftwork.transfer.bound.objective import BoundObjective
    from graftwork.transfer.bound.penalty import BoundPenalty


@dataclass(frozen=True)
class Distillation(Penalty):
    """Distillation (Hinton et al. 2015): the answers of a trained model are given again."""

    weight: float
    temperature: float  # 2 to 4: how soft answers are compared
    teacher: str  # folder of a finished run, or its `model`; relative: to the project's folder

    def __post_init__(self) -> None:
        check_range("weight", self.weight, 0)
        check_range("temperature", self.temperature, 0, 100, low_open=True)

    @property
    def folder(self) -> Path:
        """Of the teacher's model."""
        place = Path(self.teacher).expanduser().absolute()
        inside = place / "model"
        return inside if (inside / CONTRACT).is_file() else place

    def check(self, place: str) -> None:
        if not (self.folder / CONTRACT).is_file():
            wanted = Path(self.teacher).expanduser().absolute()
            near = nearest_first(wanted.name, (p.name for p in wanted.parent.glob("*")))[:3]
            hint = f" Near it: {', '.join(near)}." if near else ""
            raise UserError(
                f"{place}.teacher: {wanted} holds no trained model.{hint} Name the folder of a "
                f"finished run (runs/DATE/TIME_...), or its folder `model`: {place}.teacher=..."
            )
        read_contract(self.folder)

    def receipt(self) -> dict[str, Any]:
        contract = read_contract(self.folder)
        return {"teacher": self.teacher, "weights_sha256": contract.weights_sha256}

    def check_classes(self, place: str, classes: Sequence[str]) -> None:
        theirs = read_contract(self.folder).classes
        if set(theirs) != set(classes) or len(theirs) != len(classes):
            lacking = [name for name in classes if name not in theirs]
            further = [name for name in theirs if name not in classes]
            raise UserError(
                f"{place}.teacher: {self.folder} knows other classes. "
                f"Lacking there: {', '.join(lacking[:5]) or 'none'}; only there: "
                f"{', '.join(further[:5]) or 'none'}. Choose a teacher of the same classes."
            )

    @contextmanager
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> Iterator[BoundPenalty | None]:
        from graftwork.model_folder.contents import load
        from graftwork.transfer.bound.answers import Answers, kept
        from graftwork.transfer.bound.distillation import TaughtByAnother
        from graftwork.transfer.bound.resting import Resting

        network, contract = load(self.folder)
        known = {"weights": contract.weights_sha256, "architecture": contract.architecture}
        store = at_hand.answers(known | asdict(contract.input_spec))
        again = at_hand.views_come_again
        answers = Answers(Resting(network), store if again else None, at_hand.batch_size)
        order = [contract.classes.index(name) for name in at_hand.classes]
        with kept(answers):
            yield TaughtByAnother(answers, order, self.weight, self.temperature)


@dataclass(frozen=True)
class OfTheSource(Penalty):
    """What asks the classifier that the backbone was pretrained with."""

    weight: float

    def __post_init__(self) -> None:
        check_range("weight", self.weight, 0)

    @property
    def needs_learnt_start(self) -> bool:
        return True

    @property
    def needs_source_head(self) -> bool:
        return True


@dataclass(frozen=True)
class LearningWithoutForgetting(OfTheSource):
    """LwF (Li & Hoiem 2016): the source task's answers to the new pictures stay what they were."""

    temperature: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("temperature", self.temperature, 0, 100, low_open=True)

    @property
    def networks(self) -> int:
        return 1

    @contextmanager
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> Iterator[BoundPenalty | None]:
        import copy

        from graftwork.transfer.bound.answers import Answers, kept
        from graftwork.transfer.bound.distillation import NotForgotten
        from graftwork.transfer.bound.resting import Resting

        source, key = at_hand.source()
        head = copy.deepcopy(source.head)
        store = at_hand.answers({"network": key})
        again = at_hand.views_come_again
        answers = Answers(Resting(source), store if again else None, at_hand.batch_size)
        with kept(answers):
            yield NotForgotten(answers, head, self.weight, self.temperature)


@dataclass(frozen=True)
class CoTuning(OfTheSource):
    """Co-tuning (You et al. 2020): the source task's classifier learns which of its classes go with
    each label, and the backbone with it."""

    @property
    def looks_inside(self) -> bool:
        return False

    @contextmanager
    def bound(
        self, classifier: Classifier, objective: BoundObjective, facts: Facts, at_hand: AtHand
    ) -> Iterator[BoundPenalty | None]:
        import copy

        from graftwork.transfer.bound.answers import Answers, kept
        from graftwork.transfer.bound.distillation import CoTuned, relation_of
        from graftwork.transfer.bound.resting import Resting

        source, key = at_hand.source()
        head = copy.deepcopy(source.head)
        # Answered before the networks move to the device of the training.
        store = at_hand.answers({"network": key, "device": "cpu"})
        with kept(Answers(Resting(source), store, at_hand.batch_size)) as answers:
            relation = relation_of(answers, at_hand.pictures(None), facts.num_classes)
        yield CoTuned(relation, head, self.weight)
