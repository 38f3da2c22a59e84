from __future__ import annotations

import dataclasses

from conftest import composed

from graftwork.config.components import build
from graftwork.training.fitting import epochs_within
from graftwork.transfer.strategy import Transfer


def test_fewer_steps_than_the_strategy_takes_end_in_fewer_epochs() -> None:
    strategy = build(composed("transfer=lp_ft")["transfer"], Transfer, "transfer")
    six = dataclasses.replace(strategy, epochs=6, least_steps=0)
    found = [epochs_within(six, batches=22, steps=steps) for steps in (None, 108, 110, 111, 1000)]
    assert found == [6, 5, 5, 6, 6]
