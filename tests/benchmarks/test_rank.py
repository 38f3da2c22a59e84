from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmarks import rank
from benchmarks.rank import Measured, correlation, displaced, known, measured, sentence, table


def rows(latencies: list[float]) -> list[Measured]:
    return [
        Measured(f"n{i}", 224, 1000 - i, 10**6 * (i + 1), latency)
        for i, latency in enumerate(latencies)
    ]


def test_rho_of_known_data():
    # Spearman by hand: 1 - 6 * (1 + 1 + 1 + 1) / (6 * 35)
    found = correlation([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 5, 60])
    assert found.rho == pytest.approx(1 - 24 / 210)
    assert found.low < found.rho < found.high < 1
    # Bonett and Wright: tanh(atanh(rho) -+ 1.96 * sqrt((1 + rho^2 / 2) / 3))
    assert (found.low, found.high) == pytest.approx((0.06638, 0.99166), abs=1e-4)
    assert correlation([1, 2, 3, 4], [4, 3, 2, 1]).rho == pytest.approx(-1)
    assert str(correlation([1, 2, 3, 4], [1, 2, 3, 4])) == "1.00 (1.00 to 1.00)"


def test_networks_out_of_rank_are_found():
    found = displaced(rows([1, 9, 2, 3, 4, 5, 6, 0.5]))
    assert found == {"n1": 6, "n7": -7}


def test_table_and_sentence():
    out = io.StringIO()
    found = rows([1, 9, 2, 3, 4, 5, 6, 0.5])
    Console(file=out, width=80).print(table(found))
    assert "6 slower" in out.getvalue() and "7 faster" in out.getvalue()
    assert sentence(found).startswith("8 networks, batch 1, fp32, 2 threads: Spearman's rho")


def test_a_network_is_built_counted_and_timed(monkeypatch):
    import torch

    threads = torch.get_num_threads()
    monkeypatch.setattr(rank, "THREADS", threads)
    (found,) = measured(["tiny_cnn"], 2)
    assert (found.name, found.size) == ("tiny_cnn", 32)
    assert found.macs > 100_000 and found.parameters > 10_000 and found.latency > 0


def test_enough_networks_are_here():
    assert len(known(rank.NETWORKS)) >= 15
    assert known(["tiny_cnn", "no_such_network"]) == ["tiny_cnn"]
