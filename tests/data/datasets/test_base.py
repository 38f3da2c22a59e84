import pytest
from conftest import composed

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.data.datasets.base import Dataset
from graftwork.models.base import InputSpec

NAMES = ("groceries", "cifar10", "fashion_mnist", "flowers", "small_flowers", "folder", "csv")


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_builds(name: str) -> None:
    path = ["dataset.path=x"] if name in ("folder", "csv") else []
    dataset = build(composed(f"dataset={name}", *path)["dataset"], Dataset, "dataset")
    assert dataset.name == name
    assert dataset.watched == ("x" if path else f"conf/dataset/{name}.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dataset.name=../src", "dataset.name: '../src' cannot name a folder"),
        ("dataset.name=''", "cannot name a folder"),
        ("dataset.decoded_side=4", "decoded_side: 4 is out of bounds"),
        ("dataset.decoded_budget_gib=-1", "decoded_budget_gib: -1"),
        ("dataset.unreadable=ignore", "unreadable: 'ignore' is unknown"),
        ("dataset.splits.val_fraction=2", "val_fraction: 2"),
        ("dataset.splits.train_per_class=0", "splits.train_per_class: 0 is out of .* >= 1"),
    ],
)
def test_bounds(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(composed(override)["dataset"], Dataset, "dataset")


def test_a_network_that_sees_enlarged_pictures_is_said() -> None:
    dataset = build(composed("dataset.decoded_side=256")["dataset"], Dataset, "dataset")
    half = (0.5,) * 3
    dataset.warn_if_enlarged(InputSpec(224, half, half, "bicubic", 0.875))  # 256: just enough
    with pytest.warns(UserWarning, match="looks at 293 px .* dataset.decoded_side=293"):
        dataset.warn_if_enlarged(InputSpec(260, half, half, "bicubic", 0.89))
