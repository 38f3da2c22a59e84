"""What becomes of BatchNorm in training: its statistics and its affine, each kept or not.

| mode    | statistics           | affine  |
|---------|----------------------|---------|
| frozen  | stay                 | stays   |
| adapt   | follow the new data  | stays   |
| affine  | stay                 | trained |
| trained | follow the new data  | trained |

Statistics follow under `adapt` in the whole backbone, frozen layers included; under `trained` only
where the affine is trained too. An affine is trained where the strategy trains its parameters.
"""

from __future__ import annotations

MODES = ("frozen", "adapt", "affine", "trained")


def moves_statistics(mode: str) -> bool:
    """Whether statistics follow the new data."""
    return mode in ("adapt", "trained")


def trains_affine(mode: str) -> bool:
    """Whether scale and shift are trained, where the strategy trains them."""
    return mode in ("affine", "trained")
