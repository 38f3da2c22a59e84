"""What is kept of very many answers."""

from __future__ import annotations

import numpy as np

from graftwork.predicting.rows import Answer, Kept
from graftwork.predicting.tally import EACH, FIRST, Tally


def test_counts_first_rows_and_extremes_of_each_class() -> None:
    chances = np.random.default_rng(0).permutation(np.linspace(0.5, 0.99, 60)).astype(np.float32)
    tally = Tally(["a", "b", "c"])
    for number, chance in enumerate(chances[:50]):
        row = np.array([chance, 1 - chance, 0], np.float32)
        assert tally.add(Answer(f"{number}", "", row if number % 2 else row[[1, 0, 2]])) in "ab"
    for number, chance in enumerate(chances[50:], 50):
        tally.add_kept(f"{number}", Kept("", "", "a", float(chance)))
    assert [answer.path for answer in tally.first] == [str(n) for n in range(FIRST)]
    assert (tally.answered, tally.kept) == (60, 10)
    assert [of.count for of in tally.by_class.values()] == [35, 25, 0]
    of_a = sorted((float(chances[n]), str(n)) for n in [*range(1, 50, 2), *range(50, 60)])
    kept = tally.by_class["a"]
    assert sorted(path for _, _, path in kept.surest) == sorted(p for _, p in of_a[-EACH:])
    assert sorted(path for _, _, path in kept.least) == sorted(p for _, p in of_a[:EACH])
    assert np.isclose(kept.total, sum(chance for chance, _ in of_a))
