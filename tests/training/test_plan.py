"""The plan of a training, and whether what moved is what it says."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import composed
from rich.console import Console
from torch import nn

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.models.base import Model
from graftwork.models.network.classifier import Classifier
from graftwork.training.audit_record import Audit, Span
from graftwork.training.graft_module import GraftModule
from graftwork.training.movement import audited
from graftwork.training.parameter_groups import parameter_groups
from graftwork.training.plan import Plan, plan_of
from graftwork.training.plan_table import say_drift, table
from graftwork.transfer.adapters import LowRank
from graftwork.transfer.parts import Trainable
from graftwork.transfer.strategy import Transfer
from graftwork.transfer.trainable import All, HeadOnly, LastGroups
from graftwork.transfer.trainable_parameters import BiasOnly, Matching, NormOnly
from graftwork.transfer.trainable_schedules import Gradual


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(0)
    return build(composed("model=tiny_cnn")["model"], Model, "model").build(3, None)


def planned(
    classifier: Classifier, trainable: Trainable, batch_norm: str = "frozen", **changes: Any
) -> tuple[Plan, GraftModule]:
    given = composed("transfer=from_scratch", "transfer/rates=layer_decay")["transfer"]
    plain = changes.pop("plain", None) or classifier.state_dict()
    changes = {"trainable": trainable, "batch_norm": batch_norm, "epochs": 4} | changes
    transfer = dataclasses.replace(build(given, Transfer, "transfer"), **changes)
    module = GraftModule(classifier, transfer, 3)
    groups = [{**group, "initial_lr": 2 * group["lr"]} for group in _groups(classifier, transfer)]
    return plan_of(module, plain, groups), module


def _groups(classifier: Classifier, transfer: Transfer) -> Any:
    return parameter_groups(classifier, transfer)


def step(module: GraftModule) -> None:
    """One that moves every value that is trained."""
    module.train()
    images = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    nn.functional.cross_entropy(module(images), torch.tensor([0, 1, 2, 0])).backward()
    trained = [p for p in module.classifier.parameters() if p.grad is not None]
    torch.optim.SGD(trained, 0.1, weight_decay=0.1).step()


def test_rows_say_what_is_trained_when_and_how_fast(classifier: Classifier) -> None:
    plan, _ = planned(classifier, Gradual(first=0, frozen_share=0.0, until=1.0))
    rows = plan.audit.groups
    assert [row.name for row in rows] == ["stem", "stages.0", "stages.1", "head"]
    sizes = [sum(p.numel() for p in classifier.parameters_of(g)) for g in classifier.layer_groups()]
    assert [row.parameters for row in rows] == sizes
    convolution = classifier.backbone.stages[1].conv.weight.numel()
    assert [row.spans for row in rows[1:]] == [
        [Span(4, 4, classifier.backbone.stages[0].conv.weight.numel())],
        [Span(3, 4, convolution)],  # BatchNorm is frozen
        [Span(1, 4, sizes[-1])],
    ]
    head, last = rows[-1], rows[-2]
    assert (head.lowest_rate, head.highest_rate) == (2e-3, 2e-3)  # of the optimiser, at the peak
    assert last.highest_rate == pytest.approx(2e-3) and last.weight_decay == 0.01
    assert rows[0].spans == [] and rows[0].highest_rate is None
    assert [row.batch_norm for row in rows] == ["frozen"] * 3 + [""]


@pytest.mark.parametrize(
    ("batch_norm", "expected"),
    [
        ("frozen", ["frozen", "frozen", "frozen"]),
        ("adapt", ["adapt", "adapt", "adapt"]),
        ("affine", ["frozen", "frozen", "affine"]),
        ("trained", ["frozen", "frozen", "trained"]),
    ],
)
def test_rows_say_what_becomes_of_batch_norm(
    batch_norm: str, expected: list[str], classifier: Classifier
) -> None:
    plan, _ = planned(classifier, LastGroups(1), batch_norm)
    assert [row.batch_norm for row in plan.audit.groups[:3]] == expected


@pytest.mark.parametrize("batch_norm", ["frozen", "adapt", "affine", "trained"])
@pytest.mark.parametrize(
    "trainable", [All(), HeadOnly(), LastGroups(1), NormOnly(), BiasOnly(), Matching(["stem.conv"])]
)
def test_what_may_move_is_what_moves(
    trainable: Trainable, batch_norm: str, classifier: Classifier
) -> None:
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    plan, module = planned(classifier, trainable, batch_norm)
    step(module)
    after = classifier.state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert moved == plan.may_move & before.keys()
    audited(plan, classifier, before)


def test_what_only_frozen_batch_norm_matches_is_a_warning(classifier: Classifier) -> None:
    patterns = Matching(["stem.bn", "stages.1.conv"])
    (warning,) = planned(classifier, patterns)[0].audit.warnings
    assert "'stem.bn' chooses nothing but BatchNorm" in warning and "affine" in warning
    assert not planned(classifier, patterns, "affine")[0].audit.warnings
    (warning,) = planned(classifier, NormOnly())[0].audit.warnings
    assert warning.startswith("transfer.trainable chooses nothing but BatchNorm")
    assert not planned(classifier, HeadOnly())[0].audit.warnings


def test_drift_of_frozen_layers_is_told_before_and_after(
    classifier: Classifier, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    plan, module = planned(classifier, LastGroups(1), "adapt")
    (warning,) = plan.audit.warnings
    assert "BatchNorm in stem, stages.0 follow the new data" in warning
    step(module)
    audit = audited(plan, classifier, before)
    stem = audit.groups[0]
    assert stem.moved == 0 and stem.statistics_moved
    say_drift(audit)
    said = capsys.readouterr().err
    assert f"stem {100 * stem.statistics_moved:.2g} %" in said and "stages.1" not in said
    (warning,) = planned(classifier, BiasOnly(), "trained")[0].audit.warnings
    assert "stem, stages.0, stages.1" in warning


def test_movement_is_the_norm_of_the_change_over_the_norm_before(classifier: Classifier) -> None:
    plan, _ = planned(classifier, All(), "trained")
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    with torch.no_grad():
        for parameter in classifier.backbone.stages[1].parameters():
            parameter.mul_(1.5)
        classifier.backbone.stem.bn.running_var += 3.0  # means of 0, variances of 1
        classifier.head.bias.fill_(1.0)
    rows = {row.name: row for row in audited(plan, classifier, before).groups}
    assert rows["stages.1"].moved == pytest.approx(0.5)
    assert rows["stages.1"].statistics_moved == 0.0 == rows["stem"].moved
    assert rows["stem"].statistics_moved == pytest.approx(3.0)
    head = torch.cat([before["head.weight"].flatten(), before["head.bias"]]).norm()
    assert rows["head"].moved == pytest.approx(3**0.5 / head.item(), rel=1e-4)
    assert rows["head"].statistics_moved is None


@pytest.mark.parametrize("name", ["backbone.stem.conv.weight", "backbone.stem.bn.running_mean"])
def test_what_moved_and_should_not_is_an_error_that_names_it(
    name: str, classifier: Classifier
) -> None:
    plan, _ = planned(classifier, LastGroups(1), "trained")
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    classifier.state_dict()[name].add_(1e-6)
    with pytest.raises(UserError, match=rf"moved what the strategy keeps as it is: {name} \(by"):
        audited(plan, classifier, before)


def test_a_weight_with_an_update_may_move_and_the_update_is_what_is_trained(
    classifier: Classifier,
) -> None:
    """Of the layers that the strategy trains; the backbone's own parameters stay."""
    plain = dict(classifier.state_dict())
    rank, adapter = 2, LowRank(["stem.conv", "stages.1.conv"], 2, 1.0)
    adapter.attach(classifier, seed=0)
    plan, _ = planned(classifier, LastGroups(2), plain=plain)
    head = {"head.weight", "head.bias"}
    assert plan.may_move == {"backbone.stages.1.conv.weight", *head}
    rows = {row.name: row for row in plan.audit.groups}
    weight = plain["backbone.stages.1.conv.weight"]
    assert rows["stages.1"].trained == rank * (weight.shape[0] + weight[0].numel())
    assert rows["stages.1"].parameters > weight.numel() and rows["stages.0"].trained == 0
    adapter.merge(classifier)
    audited(plan, classifier, plain)


def test_the_record_comes_back_and_its_table_has_a_row_a_group(
    classifier: Classifier, tmp_path: Path
) -> None:
    plan, _ = planned(classifier, LastGroups(1))
    before = dict(classifier.state_dict())
    audit = audited(plan, classifier, before)
    audit.write(tmp_path)
    assert Audit.read(tmp_path) == audit
    assert audit.moved["moved/stages.1"] == 0.0 and "statistics_moved/head" not in audit.moved
    assert len((tmp_path / "groups.csv").read_text().splitlines()) == 5
    nothing = Audit.of_nothing("frozen")
    nothing.write(tmp_path)
    assert Audit.read(tmp_path) == nothing and not nothing.moved
    assert Audit.read(tmp_path / "elsewhere") is None


def test_the_plan_fits_a_terminal(classifier: Classifier) -> None:
    plan, _ = planned(classifier, Gradual(first=0, frozen_share=0.0, until=1.0))
    out = io.StringIO()
    Console(file=out, width=80).print(table(plan.audit))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert [
        "stages.1",
        "18.6",
        "k",
        "18.4",
        "k",
        "3",
        "to",
        "4",
        "2.0e-3",
        "0.01",
        "frozen",
    ] in lines
    assert "…" not in out.getvalue()
