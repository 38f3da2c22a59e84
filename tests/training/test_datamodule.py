from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from graftwork.config.errors import UserError
from graftwork.training.datamodule import PictureData, TrainingOrder, ValidationOrder


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


def data(count: int = 23, **options: int) -> PictureData:
    settings = {"batch_size": 4, "workers": 0, "seed": 5, **options}
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
    found = TrainingOrder(23, 4, 5, **options)
    found.set_epoch(epoch)
    return found


def test_processes_share_each_batch() -> None:
    whole = list(order(2))
    parts = [list(order(2, rank=rank, processes=2)) for rank in (0, 1)]
    for batch, left, right in zip(whole, *parts, strict=True):
        assert left + right == batch and len(left) == len(right) == 2


def test_fewer_pictures_than_a_batch_are_one_batch() -> None:
    assert [len(keys) for keys in TrainingOrder(3, 8, 0)] == [3]
    assert [len(keys) for keys in TrainingOrder(5, 8, 0, rank=1, processes=2)] == [2]
    with pytest.raises(UserError, match="trainer.processes: 4 processes for 3"):
        TrainingOrder(3, 8, 0, processes=4)


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
        frame(4), {"val": frame(0)}, Numbers(), seeded, np.copy, batch_size=2, workers=0, seed=0
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
        processes=2,
    )
    with pytest.raises(UserError, match="2 processes for 1 held-out pictures.*selection=none"):
        few.val_dataloader()
