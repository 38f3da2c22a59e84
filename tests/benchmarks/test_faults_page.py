from __future__ import annotations

from benchmarks.faults_page import written


def test_each_row_stands_beside_the_stock_one_of_its_name():
    row = {"subject": "store", "what": "locked: no row lost", "trials": 2, "held": 2, "note": "",
           "stock": "locked", "seconds": 3}  # fmt: skip
    other = {**row, "what": "killed: goes on", "stock": "", "held": 1, "note": "the longest 1 s"}
    stock = {"locked": {"trials": 4, "held": 0, "note": "raises", "seconds": 30}}
    lines = [line for line in written([row, other], stock, 7).splitlines() if "store" in line]
    assert lines[-2:] == [
        '| locked | no row lost | 2 of 2 | 0 of 4 (raises) | `make chaos ARGS="store --seed 7"` '
        "| 3, 30 |",
        '| killed | goes on | 1 of 2 (the longest 1 s) | - | `make chaos ARGS="store --seed 7"` '
        "| 3 |",
    ]
