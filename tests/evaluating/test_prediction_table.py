from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graftwork.evaluating import prediction_table as predictions


def test_a_row_for_each_picture(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sha256": ["a", "b"], "path": ["/1.jpg", "/2.jpg"], "label": [1, 0]})
    probabilities = np.array([[0.25, 0.75, 0], [0.25, 0.25, 0.5]], np.float32)
    path = tmp_path / "reports" / "predictions.parquet"
    predictions.write(path, frame, ["x", "y", "z"], probabilities)
    found = pd.read_parquet(path)
    assert list(found.columns) == [
        "sha256", "path", "class", "predicted", "probability", "log_loss", "probabilities",
    ]  # fmt: skip
    assert found["class"].tolist() == ["y", "x"]
    assert found["predicted"].tolist() == ["y", "z"]
    assert found["probability"].tolist() == [0.75, 0.5]
    assert found["log_loss"].tolist() == pytest.approx([np.log(4 / 3), np.log(4)])
    assert np.stack(found["probabilities"]).tolist() == probabilities.tolist()
