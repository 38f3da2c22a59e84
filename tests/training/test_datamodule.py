from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from graftwork.config.errors import UserError
from graftwork.training.datamodule import (
    PictureData,
    Pictures,
    TrainingOrder,
    ValidationOrder,
    times_before,
)
from graftwork.transfer.samplers import ClassBalanced, Shuffled


class Numbers:
    """A store of pictures that show their own number."""

    def get(self, sha256: str, path: str) -> np.ndarray:
        return np.full((4, 4, 3), int(sha256), np.uint8)


def seeded(image: np.ndarray, epoch: int, index: int) -> np.ndarray:
    """Stands for augmentation: says what it was called with."""
    assert image[0, 0, 0] == index
    noise = np.random.default_rng((epoch, index)).integers(0, 255, image.shape)
    return noise.astype(np.uint8)


def frame(count: int) -> pd.DataFrame:
    numbers = np.arange(count)
    return pd.DataFrame({"sha256": numbers.astype(str), "path": "", "label": numbers % 3})


def data(count: int = 23, **options: Any) -> PictureData:
    settings = {"batch_size": 4, "workers": 0, "seed": 5, "sampler": Shuffled(), **options}
    watched = {"val": frame(count)}
    return PictureData(frame(count), watched, Numbers(), seeded, np.copy, **settings)


def epoch_of(source: PictureData, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    loader = source.train_dataloader()
    loader.sampler.set_epoch(epoch)  # as Lightning does
    return list(loader)


def test_batches_are_bytes_and_labels() -> None:
    images, labels = epoch_of(data(), 0)[0]
    assert images.dtype == torch.uint8 and images.shape == (4, 4, 4, 3)
    assert labels.dtype == torch.int64 and labels.shape == (4,)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_pictures_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    for epoch in (0, 3):
        alone, together = epoch_of(data(), epoch), epoch_of(data(workers=workers), epoch)
        assert len(alone) == len(together) == 5
        for left, right in zip(alone, together, strict=True):
            assert torch.equal(left[0], right[0]) and torch.equal(left[1], right[1])


def test_every_epoch_has_its_own_order_and_its_own_pictures() -> None:
    seen = [
        bytes(picture.numpy()) for e in range(3) for b in epoch_of(data(), e) for picture in b[0]
    ]
    assert len(set(seen)) == len(seen) == 60
    orders = [tuple(index for keys in order(e) for _, index in keys) for e in range(3)]
    assert len(set(orders)) == 3
    assert all(len(set(indices)) == 20 for indices in orders)


def order(epoch: int, **options: int) -> TrainingOrder:
    found = TrainingOrder(np.arange(23) % 3, 4, 5, Shuffled(), **options)
    found.set_epoch(epoch)
    return found


def test_the_order_is_the_one_that_it_always_was() -> None:
    expected = np.random.default_rng((5, 2)).permutation(23)[:20]
    assert [index for keys in order(2) for _, index in keys] == expected.tolist()


def balanced(epoch: int, **options: int) -> TrainingOrder:
    labels = np.repeat([0, 1, 2], [17, 4, 2])
    found = TrainingOrder(labels, 23, 5, ClassBalanced(), **options)
    found.set_epoch(epoch)
    return found


def test_a_picture_that_an_epoch_shows_again_is_another_view() -> None:
    keys = [index for batch in balanced(0) for _, index in batch]
    assert len(keys) == len(set(keys)) == 23 and max(keys) >= 23
    seen = []
    shown = Pictures(frame(23), Numbers(), lambda image, epoch, index: seen.append(index) or image)
    images, labels = shown[[(0, index) for index in keys]]
    assert seen == keys
    assert images[:, 0, 0, 0].tolist() == [index % 23 for index in keys]
    assert labels.tolist() == [index % 23 % 3 for index in keys]


def test_times_before() -> None:
    assert times_before(np.array([3, 1, 3, 3, 1, 0])).tolist() == [0, 0, 1, 2, 1, 0]
    assert times_before(np.array([], int)).tolist() == []


def test_any_number_of_processes_draws_the_same() -> None:
    (whole,) = balanced(3)
    (left,), (middle,), (right,) = (balanced(3, rank=rank, processes=3) for rank in range(3))
    assert left + middle + right == whole[: len(left + middle + right)] and len(whole) == 23


def test_processes_share_each_batch() -> None:
    whole = list(order(2))
    parts = [list(order(2, rank=rank, processes=2)) for rank in (0, 1)]
    for batch, left, right in zip(whole, *parts, strict=True):
        assert left + right == batch and len(left) == len(right) == 2


def test_fewer_pictures_than_a_batch_are_one_batch() -> None:
    assert [len(keys) for keys in TrainingOrder(np.arange(3), 8, 0, Shuffled())] == [3]
    assert [
        len(keys) for keys in TrainingOrder(np.arange(5), 8, 0, Shuffled(), rank=1, processes=2)
    ] == [2]
    with pytest.raises(UserError, match="trainer.processes: 4 processes for 3"):
        TrainingOrder(np.arange(3), 8, 0, Shuffled(), processes=4)


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 5, 16, 17])
def test_validation_sees_every_picture_once(count: int, processes: int) -> None:
    orders = [ValidationOrder(count, 4, rank, processes) for rank in range(processes)]
    keys = [key for one in orders for batch in one for key in batch]
    assert sorted(keys) == [(0, index) for index in range(count)]
    assert [len(list(one)) for one in orders] == [len(one) for one in orders]


def test_validation_pictures_are_not_augmented() -> None:
    (loader,) = data().val_dataloader()
    images, labels = next(iter(loader))
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert labels.tolist() == [0, 1, 2, 0]


def test_loading_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    epoch_of(data(), 0)
    assert torch.equal(torch.rand(3), expected)


def test_without_validation_pictures_there_is_no_validation() -> None:
    nothing = PictureData(
        frame(4),
        {"val": frame(0)},
        Numbers(),
        seeded,
        np.copy,
        batch_size=2,
        workers=0,
        seed=0,
        sampler=Shuffled(),
    )
    assert nothing.val_dataloader() == []


def test_a_process_without_a_held_out_picture_is_refused() -> None:
    few = PictureData(
        frame(8),
        {"val": frame(1)},
        Numbers(),
        seeded,
        np.copy,
        batch_size=2,
        workers=0,
        seed=0,
        sampler=Shuffled(),
        processes=2,
    )
    with pytest.raises(UserError, match="2 processes for 1 held-out pictures.*selection=none"):
        few.val_dataloader()
