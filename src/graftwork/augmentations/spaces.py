"""Which operations automatic augmentation chooses from, and how strong each may be."""

from __future__ import annotations

from graftwork.augmentations.operations import Operation

LEVELS = 31  # of a magnitude: 0 to 30
SPACES = ("standard", "wide")


def space(name: str, side: int) -> list[Operation]:
    """The 14 operations of RandAugment and TrivialAugment.

    Args:
        name: `standard`, the ranges of RandAugment (Cubuk et al. 2020), or `wide`, those of
            TrivialAugment Wide (Müller & Hutter 2021), both as torchvision has them.
        side: of the picture, px.
    """
    wide = name == "wide"
    shear, turned, factor = (0.99, 135, 0.99) if wide else (0.3, 30, 0.9)
    # RandAugment's shifts were set for 331 px, and grow with the picture; the wide ones are px.
    shifted = 32 if wide else 150 / 331 * side
    enhanced = ("brightness", "color", "contrast", "sharpness")
    return [
        _still("identity"),
        *(Operation(f"shear_{axis}", 0, shear, True, None) for axis in "xy"),
        *(Operation(f"translate_{axis}", 0, shifted, True, int) for axis in "xy"),
        Operation("rotate", 0, turned, True, None),
        *(Operation(kind, 0, factor, True, None) for kind in enhanced),
        Operation("posterize", 8, 2 if wide else 4, False, round),
        Operation("solarize", 255, 0, False, None),
        _still("autocontrast"),
        _still("equalize"),
    ]


def augmix_space(side: int) -> list[Operation]:
    """AugMix's nine operations, up to severity 10 (Hendrycks et al. 2020, their code).

    Those of RandAugment that resemble the corruptions which AugMix was tested on are not among
    them.

    Args:
        side: of the picture, px.
    """
    return [
        _still("autocontrast"),
        _still("equalize"),
        Operation("posterize", 4, 0, False, int),
        Operation("rotate", 0, 30, True, int),
        Operation("solarize", 256, 0, False, int),
        *(Operation(f"shear_{axis}", 0, 0.3, True, None) for axis in "xy"),
        *(Operation(f"translate_{axis}", 0, side / 3, True, int) for axis in "xy"),
    ]


def _still(name: str) -> Operation:
    """One that has no magnitude."""
    return Operation(name, 0, 0, False, None)
