"""What a tutorial would do: the reference that the linear probe is compared with.

Frozen EfficientNet-Lite0, Adam on the head, every photo decoded and every feature computed again
in every epoch; fp32, default layout. A process of its own, imports included. Nothing of graftwork
is used but the cure for torchvision on a CPU-only torch.

    python -m benchmarks.naive MANIFEST WEIGHTS --epochs 20
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from graftwork.process.vision import timm  # isort: skip

import pandas as pd
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

SIZE, BATCH = 160, 32
HALF = [0.5, 0.5, 0.5]


class Photos(Dataset):
    """A split of the manifest, decoded on every visit."""

    def __init__(self, rows: pd.DataFrame, transform: transforms.Compose) -> None:
        self.rows = list(zip(rows.path, rows.label, strict=True))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.rows[index]
        with Image.open(path) as image:
            return self.transform(image.convert("RGB")), label


def network(weights: str, num_classes: int) -> Any:
    model: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    pairs = zip(model.state_dict(), torch.load(weights, weights_only=True).values(), strict=True)
    model.load_state_dict(dict(pairs))
    model.requires_grad_(False)
    model.reset_classifier(num_classes)
    torch.nn.init.normal_(model.get_classifier().weight, std=0.01)
    return model


@torch.no_grad()
def accuracy(model: torch.nn.Module, loader: DataLoader) -> float:
    model.eval()
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in loader)
    return right / len(loader.dataset)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest")
    parser.add_argument("weights")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)

    rows = pd.read_parquet(options.manifest).query("verdict == 'ok'")
    normalise = [transforms.ToTensor(), transforms.Normalize(HALF, HALF)]
    train = transforms.Compose(
        [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(), *normalise]
    )
    test = transforms.Compose([transforms.Resize(183), transforms.CenterCrop(SIZE), *normalise])
    loaders = {
        split: DataLoader(
            Photos(rows[rows.split == split], train if split == "train" else test),
            batch_size=BATCH,
            shuffle=split == "train",
            num_workers=0,
        )
        for split in ("train", "val", "test")
    }
    model = network(options.weights, int(rows.label.max()) + 1)
    optimizer = torch.optim.Adam(model.get_classifier().parameters(), lr=1e-3)
    for epoch in range(options.epochs):
        model.train()
        for images, labels in loaders["train"]:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: val {accuracy(model, loaders['val']):.3f}", flush=True)
    print(f"test {accuracy(model, loaders['test']):.4f}")


if __name__ == "__main__":
    main()
