"""Which releases of libraries are installed, without importing any of them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

# What a result, or its record, may depend on.
PACKAGES = (
    "graftwork",
    *("torch", "torchvision", "timm", "pytorch-lightning", "torchmetrics", "albumentations"),
    *("openvino", "scikit-learn", "numpy", "pillow", "opencv-python-headless", "simplejpeg"),
    *("hydra-core", "dvc", "mlflow"),
)


@cache
def release(package: str) -> str | None:
    """The installed release of a package, such as "2.13.0+cpu"; None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def releases(*packages: str) -> dict[str, str | None]:
    """The same for several, by name."""
    return {package: release(package) for package in packages}
