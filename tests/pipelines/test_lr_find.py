"""The range test of learning rates: what it tries, what it proposes, and the page that says so."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from graftwork.reporting import range_page
from graftwork.storage.artifacts import Artifacts
from graftwork.training.range_test import RangeTest, Rising, smoothed
from graftwork.transfer.parts import Moment
from pipelines import lr_find

Params = Callable[..., dict[str, Any]]


def test_rates_rise_by_the_same_factor_each_step() -> None:
    rising = Rising(1e-3, 1e3)
    found = [rising.factor(Moment(step, 7, 0, 1)) for step in range(7)]
    assert found == pytest.approx([10.0**power for power in range(-3, 4)])


def test_the_smoothed_loss_is_a_weighted_mean_of_all_before() -> None:
    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2.0] * 3)
    assert smoothed([1.0, 3.0])[1] == pytest.approx((0.9 * 0.1 * 1.0 + 0.1 * 3.0) / (1 - 0.9**2))


def test_proposed_is_a_tenth_of_the_rate_of_the_smallest_loss() -> None:
    factors = [10.0**power for power in range(-3, 2)]
    found = RangeTest(factors, [1.0] * 5, [1.0, 0.9, 0.4, 0.7, 2.0])
    assert found.proposed == pytest.approx(0.01) and not found.open_ended
    assert RangeTest(factors, [1.0] * 5, [5.0, 4.0, 3.0, 2.0, 1.0]).open_ended
    said = " ".join(range_page.sentences(found, "transfer.rates.lr", 0.5))
    assert "transfer.rates.lr is 0.5 today; proposed: 0.005." in said
    drawn = range_page.picture(found, "transfer.rates.lr", 0.5)
    assert "proposed: 0.005" in drawn and "transfer.rates.lr" in drawn and "loss (nats)" in drawn


def test_it_looks_at_training_pictures_alone_and_writes_a_page(
    tiny_params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graftwork.training import range_test

    seen, real = [], range_test.pictures_of
    monkeypatch.setattr(
        range_test, "pictures_of", lambda *given: seen.append(given[3:]) or real(*given)
    )
    monkeypatch.setattr(lr_find, "STEPS", 8)
    artifacts = Artifacts.at(tmp_path)
    artifacts.params.write_text(yaml.safe_dump(tiny_params("trainer.batch_size=8")))
    experiment = Experiment.from_file(artifacts.params)
    found = [lr_find.find(experiment, artifacts, ["model=tiny_cnn"]) for _ in range(2)]
    assert found[0] == found[1]
    ((rows,), _) = seen
    assert set(rows.fit["split"]) == {"train"} and rows.watched == {}
    command = found[0][-1]
    rate = float(re.fullmatch(
        r"python -m pipelines.experiment model=tiny_cnn transfer.rates.lr=(\S+)", command
    )[1])  # type: ignore[index]  # fmt: skip
    assert 1e-7 < rate < 1.0 and math.isfinite(rate)
    page = (tmp_path / "lr_find.html").read_text()
    assert command in page and "<svg" in page and "src=" not in page


def test_a_strategy_without_steps_has_no_rate(tiny_params: Params, tmp_path: Path) -> None:
    params = tiny_params("model=efficientnet_lite0", "transfer=linear_probe")
    with pytest.raises(UserError, match="linear_probe: takes no steps.*transfer=lp_ft"):
        lr_find.find(Experiment.from_params(params), Artifacts.at(tmp_path), [])


def test_elsewhere_than_in_a_project_it_says_so(tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['graftwork', 'lr-find', 'seed=1']\n"
    code += "from graftwork.cli.commands import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and "Run this in the project's folder" in done.stderr
