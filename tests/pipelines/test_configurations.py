"""Jobs that differ in their seed alone, taken together and compared on the test pictures."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from graftwork.evaluating import prediction_table
from graftwork.metrics.paired import mean_over
from graftwork.storage.artifacts import Artifacts
from pipelines import configuration_tables as tables
from pipelines.configurations import Configuration, configurations
from pipelines.ranking import jobs, rankings

PICTURES = 60
RIGHT = {  # of 60 pictures, by strategy and seed
    ("linear_probe", 0): range(30),
    ("linear_probe", 1): range(32),
    ("linear_probe", 2): range(31),
    ("lp_ft", 0): range(55),
    ("lp_ft", 1): range(53),
    ("lp_ft", 2): range(54),
    ("knn", 0): range(29),
    ("knn", 1): range(31),
    ("knn", 2): range(30),
}


def job(folder: Path, number: int, own: list[str], right: range, selected: float) -> None:
    artifacts = Artifacts.at(folder / str(number))
    artifacts.metrics.parent.mkdir(parents=True)
    facts = {"job": number, "differs": " ".join(own), "own": own, "status": "finished"}
    (artifacts.root / "job.json").write_text(json.dumps(facts))
    labels = np.zeros(PICTURES, int)
    probabilities = np.tile([0.2, 0.8], (PICTURES, 1))
    probabilities[list(right)] = [0.9, 0.1]
    frame = pd.DataFrame({"sha256": [f"{i:064x}" for i in range(PICTURES)]})
    frame = frame.assign(path=frame.sha256, label=labels)
    prediction_table.write(artifacts.predictions, frame, ["a", "b"], probabilities)
    metrics = {
        "confidence": 0.95,
        "selection": {"scores": {"top1": {"value": selected}}},
        "test": {"top1": {"value": len(right) / PICTURES}},
        "cost": {"seconds": {"finetune": 2.0}, "trainable_parameters": 1234},
    }
    artifacts.metrics.write_text(json.dumps(metrics))


@pytest.fixture
def found(tmp_path: Path) -> list[Configuration]:
    for number, ((strategy, seed), right) in enumerate(RIGHT.items()):
        own = [f"transfer={strategy}", f"seed={seed}"]
        job(tmp_path, number, own, right, len(right) / PICTURES)
    (ranking,) = rankings(jobs(tmp_path))
    return configurations(ranking, ["linear_probe", "fine_tune"])


def test_seeds_are_taken_together_and_the_selection_score_sorts(
    found: list[Configuration],
) -> None:
    assert [one.differs for one in found] == [
        "transfer=lp_ft", "transfer=linear_probe", "transfer=knn",
    ]  # fmt: skip
    best = found[0]
    assert best.selection == pytest.approx(54 / 60)
    assert best.selection_range == (pytest.approx(53 / 60), pytest.approx(55 / 60))
    assert best.test is not None and best.test.value == pytest.approx(54 / 60)
    assert best.test.low < 53 / 60 < 55 / 60 < best.test.high
    assert (best.seconds, best.trained, len(best.jobs)) == (0.0, 1234, 3)


def test_no_interval_of_a_share_reaches_beyond_all_of_it(tmp_path: Path) -> None:
    for number, right in enumerate((range(59), range(57))):
        job(tmp_path, number, [f"seed={number}"], right, 0.9)
    ((one,),) = [configurations(ranking, []) for ranking in rankings(jobs(tmp_path))]
    assert one.test is not None and one.test.low < 57 / 60 and one.test.high == 1


def test_differences_are_paired_by_picture_and_seed(found: list[Configuration]) -> None:
    (to_probe,) = found[0].differences  # fine_tune is not in the sweep; it is the best itself
    assert to_probe.baseline == "linear_probe"
    assert to_probe.estimate.value == pytest.approx((25 + 21 + 23) / 180)
    right = {key: np.isin(range(PICTURES), list(of)).astype(float) for key, of in RIGHT.items()}
    pairs = [right["lp_ft", seed] - right["linear_probe", seed] for seed in (0, 1, 2)]
    assert to_probe.estimate == mean_over(np.stack(pairs), 0.95)
    (probe_to_best,) = found[1].differences  # a baseline is not compared with itself
    knn_to_best, knn = found[2].differences
    assert probe_to_best.baseline == knn_to_best.baseline == "best" and knn_to_best.is_test
    assert probe_to_best.estimate.value == -to_probe.estimate.value
    assert knn.estimate.value == pytest.approx(-1 / 60)
    assert to_probe.p == pytest.approx(2 * to_probe.estimate.p)  # Holm, of two comparisons
    assert to_probe.p < 0.05 < knn.p


def test_only_what_is_alike_in_all_else_is_compared(tmp_path: Path) -> None:
    for number, (own, right) in enumerate(
        (
            (["transfer=linear_probe", "model=a"], range(30)),
            (["transfer=lp_ft", "model=b"], range(50)),
            (["transfer=lp_ft", "model=a"], range(40)),
        )
    ):
        job(tmp_path, number, own, right, 0.5)
    (ranking,) = rankings(jobs(tmp_path))
    found = {one.differs: one for one in configurations(ranking, ["linear_probe"])}
    to_probe = {
        name: [each for each in one.differences if each.baseline == "linear_probe"]
        for name, one in found.items()
    }
    assert to_probe["transfer=lp_ft model=b"] == []
    (difference,) = to_probe["transfer=lp_ft model=a"]
    assert difference.estimate.value == pytest.approx(10 / 60)


def test_without_tests_nothing_is_compared(tmp_path: Path) -> None:
    for number, strategy in enumerate(("linear_probe", "lp_ft")):
        job(tmp_path, number, [f"transfer={strategy}"], range(30), 0.5)
    Artifacts.at(tmp_path / "1").predictions.unlink()
    (ranking,) = rankings(jobs(tmp_path))
    found = configurations(ranking, ["linear_probe"])
    assert [one.test is None for one in found] == [False, True]
    assert not any(one.differences for one in found)
    assert not tables.worth_telling(found)


def test_verdicts_are_those_of_the_adjusted_p(found: list[Configuration]) -> None:
    assert [one.verdict for one in found] == [
        "best, better than linear_probe", "worse than best", "worse than best, like linear_probe",
    ]  # fmt: skip


def test_where_not_all_tests_were_looked_at_held_out_pictures_tell(tmp_path: Path) -> None:
    """They are there for every job; of seeds with other pictures only the scores are told."""
    right = {"lp_ft": (range(50), range(52), range(51)), "knn": (range(30), range(28), range(29))}
    for number, (strategy, seed) in enumerate((s, n) for s in right for n in (0, 1, 2)):
        recognised = right[strategy][seed]
        own = [f"transfer={strategy}", f"seed={seed}"]
        job(tmp_path, number, own, recognised, len(recognised) / PICTURES)
        artifacts = Artifacts.at(tmp_path / str(number))
        artifacts.held_out.parent.mkdir(parents=True)
        artifacts.predictions.rename(artifacts.held_out)
    (ranking,) = rankings(jobs(tmp_path))
    best, knn = configurations(ranking, ["knn"])
    assert (best.verdict, knn.verdict) == ("best", "worse than best")
    (difference,) = knn.differences
    assert not difference.is_test and difference.estimate.value == pytest.approx(-44 / 120)
    assert best.held_out is not None and best.held_out.value == pytest.approx(102 / 120)
    section = tables.section([best, knn], 0.95)
    assert section.pictures == [] and "85.0 (75" in section.rows[0][2]
    told = tables.as_metrics([best, knn])
    assert told["held_out_top1/transfer=knn"] == pytest.approx(58 / 120)
    assert told["to_best_p/transfer=knn"] == difference.p and told["seeds/transfer=knn"] == 3
    assert "to_best/transfer=lp_ft" not in told and "test_top1/transfer=knn" not in told
    assert tables.as_tags([best, knn])["verdict/transfer=knn"] == "worse than best"
    frame = pd.read_parquet(Artifacts.at(tmp_path / "3").held_out)
    frame.iloc[1:].to_parquet(Artifacts.at(tmp_path / "3").held_out)
    best, knn = configurations(ranking, ["knn"])
    assert knn.held_out is None and knn.differences == () and knn.selection is not None


def shown(found: list[Configuration], width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(tables.table(found, width))
    return console.export_text()


def test_a_table_for_people_and_one_for_programs(found: list[Configuration]) -> None:
    assert tables.worth_telling(found)
    assert "90.0 (88.3-91.7)" in shown(found, 150) and "+38.3 (" in shown(found, 150)
    narrow = shown(found, 80)
    assert "transfer=linear_probe" in narrow and "+38.3 p 0.0" in narrow and "88.3" not in narrow
    rows = list(csv.DictReader(io.StringIO(tables.as_csv(found))))
    assert float(rows[0]["to_linear_probe"]) == pytest.approx(46 / 120)
    assert rows[1]["to_linear_probe"] == rows[1]["to_linear_probe_p"] == ""
    assert float(rows[0]["test_top1_low"]) == found[0].test.low  # type: ignore[union-attr]


def test_the_page_has_the_table_and_a_picture_a_baseline(found: list[Configuration]) -> None:
    section = tables.section(found, 0.95)
    assert section.columns[0] == "what differs" and len(section.rows) == 3
    to_best, to_probe = section.pictures
    assert "Test top-1 against best" in to_best and "Test top-1 against linear_probe" in to_probe
    assert to_probe.count("points (") == 2
