from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from graftwork.recorders.base import Place
from graftwork.recorders.tensorboard import TensorBoard, as_table


def place(tmp_path: Path) -> Place:
    params = {"transfer.name": "lp_ft", "dataset.name": "<b>|x"}
    return Place("lp_ft net seed=0", "0123456789abcdef", params, tmp_path / "job", tmp_path, False)


def events(folder: Path) -> list[Event]:
    """Records of TensorFlow: length (8 bytes), its CRC (4), the event, its CRC (4)."""
    found = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    rows = [(event.step, value) for event in events(folder) for value in event.summary.value]
    return [(v.tag, step, v.simple_value) for step, v in rows if v.HasField("simple_value")]


def told(folder: Path) -> str:
    values = [value for event in events(folder) for value in event.summary.value]
    return "".join(text.decode() for v in values for text in v.tensor.string_val)


def test_curves_params_and_facts_stand_in_one_folder_a_run(tmp_path: Path) -> None:
    recorder = TensorBoard("tensorboard")
    recorder.check()
    run = recorder.open(place(tmp_path))
    run.log_metrics({"val/top1": 0.5}, 1)
    run.finish()
    (folder,) = (tmp_path / "tensorboard").iterdir()
    assert folder.name == "lp_ft_net_seed=0-01234567"
    # A later stage opens the run again, perhaps under another name.
    again = recorder.open(replace(place(tmp_path), name="other", resumed=True))
    again.log_metrics({"val/top1": 0.5}, 1)  # told again, as after a kill
    again.log_metrics({"val/top1": 0.75}, 2)
    again.log_cost({"finetune": {"seconds": 3.0}})
    again.close(ValueError("it broke"))
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()] == [folder.name]
    assert sorted(scalars(folder)) == [
        ("cost/finetune/seconds", 0, 3.0), ("val/top1", 1, 0.5), ("val/top1", 2, 0.75),
    ]  # fmt: skip
    assert told(folder).count("transfer.name") == 1
    assert r"\<b\>\|x" in told(folder) and "ValueError: it broke" in told(folder)


@pytest.mark.parametrize("text", ["a|b", "<script>", "[x](y)", "*x*", "line\nline"])
def test_values_are_text(text: str) -> None:
    table = as_table({"key": text})
    assert len(table.splitlines()) == 3 and text not in table
