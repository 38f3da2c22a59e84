"""Which depths the CIFAR networks of He et al. (2015) have; needs no torch."""

from __future__ import annotations

from graftwork.config.errors import UserError

DEEPEST = 1202  # layers: what was trained there


def blocks_per_stage(depth: int) -> int:
    """n of 6n + 2: three stages of n blocks of two convolutions, the stem and the classifier.

    Raises:
        UserError: no whole number of blocks makes this depth, or it is beyond what was trained.
    """
    if depth > DEEPEST:
        raise UserError(
            f"options.depth: {depth} layers. At most {DEEPEST}, the deepest that He et al. trained."
        )
    n, rest = divmod(depth - 2, 6)
    if n >= 1 and not rest:
        return n
    below = max(8, 6 * n + 2)
    legal = f"{below} or {below + 6}" if n >= 1 else f"{below}"
    raise UserError(
        f"options.depth: {depth} layers cannot be shared evenly by three stages. Nearest legal: "
        f"{legal} (6n + 2: 20, 32, 44, 56, 110, ...)."
    )
