"""What a network costs, whatever its head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from graftwork.model_folder import contents as model_folder
from graftwork.reporting.cost_entry import macs_beyond


def test_a_head_of_another_kind_is_counted_as_it_is(tmp_path: Path) -> None:
    bank = {"head.bank": np.zeros((50, 8)), "head.labels": np.zeros(50), "head.centre": np.zeros(8)}
    save_file(bank, tmp_path / model_folder.HEAD)
    layers = [{"name": "stem.conv", "macs": 900}, {"name": "head", "macs": 3 * 8}]
    assert macs_beyond({"layers": layers}, tmp_path) == 50 * 8 - 3 * 8
