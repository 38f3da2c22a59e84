from __future__ import annotations

import dataclasses

from conftest import composed

from graftwork.experiment import Experiment
from graftwork.training.fitted import epochs_within


def test_fewer_steps_than_the_strategy_takes_end_in_fewer_epochs() -> None:
    plain = Experiment.from_params(composed("transfer=lp_ft"))
    strategy = dataclasses.replace(plain.transfer, epochs=6, least_steps=0)
    six = dataclasses.replace(plain, transfer=strategy)
    found = [epochs_within(six, each=22, steps=steps) for steps in (None, 108, 110, 111, 1000)]
    assert found == [6, 5, 5, 6, 6]
    short = dataclasses.replace(six, trainer=dataclasses.replace(six.trainer, limit_batches=20))
    assert epochs_within(short, each=22, steps=81) == 5
