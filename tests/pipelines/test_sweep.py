from __future__ import annotations

import pytest

from pipelines.sweep import differing


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["dataset=flowers", "seed=1", "model=resnet50", "transfer=lp_ft"],
            "transfer=lp_ft model=resnet50 seed=1 dataset=flowers",
        ),
        (
            ["dataset.splits.seed=0", "trainer.workers=4", "transfer.epochs=3", "model/head=mlp"],
            "transfer.epochs=3 model/head=mlp trainer.workers=4 dataset.splits.seed=0",
        ),
        (["+seed=1", "transfer/rates=uniform"], "transfer/rates=uniform +seed=1"),
    ],
)
def test_jobs_differ_early_in_their_names(overrides, said):
    swept = {override.partition("=")[0]: [] for override in overrides}
    assert " ".join(differing(overrides, swept)) == said


def test_what_every_job_has_tells_none_apart():
    overrides = ["dataset=flowers", "trainer=smoke", "seed=1"]
    assert differing(overrides, {"seed": ["1", "2"]}) == ["seed=1"]
    assert differing([], {}) == []
