from __future__ import annotations

import threading
import time

import pytest
from numbered_pictures import SPEC, Numbered, pictures

from graftwork.features.engines.loading import AHEAD, Picture, batches, load_batch


def test_batches_come_in_order_and_the_last_is_filled_up() -> None:
    found = list(batches(pictures(11), Numbered(), SPEC, 4))  # type: ignore[arg-type]
    assert [len(batch.keys) for batch in found] == [4, 4, 3]
    assert [key for batch in found for key in batch.keys] == [str(n) for n in range(11)]
    assert all(batch.images.shape == (4, 4, 4, 3) for batch in found)
    assert [int(batch.images[0, 0, 0, 0]) for batch in found] == [0, 4, 8]
    assert not found[-1].images[3].any()


def test_no_pictures_no_batches() -> None:
    assert list(batches([], Numbered(), SPEC, 4)) == []  # type: ignore[arg-type]


def test_only_a_few_batches_wait_in_memory() -> None:
    images = Numbered()
    stream = batches(pictures(400), images, SPEC, 4)  # type: ignore[arg-type]
    next(stream)
    time.sleep(0.2)
    assert len(images.asked) <= 4 * (AHEAD + 1)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loading")]


def test_a_picture_that_cannot_be_read_ends_the_stream() -> None:
    broken = [*pictures(5), Picture("bad", "")]
    with pytest.raises(ValueError, match="bad picture"):
        list(batches(broken, Numbered(), SPEC, 2))  # type: ignore[arg-type]


def test_one_batch_alone() -> None:
    batch = load_batch(pictures(2), Numbered(), SPEC, 3)  # type: ignore[arg-type]
    assert batch.keys == ("0", "1") and batch.images.shape[0] == 3
