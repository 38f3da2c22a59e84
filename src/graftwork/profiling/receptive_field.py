"""Theoretical receptive fields, followed from operation to operation.

A convolution or pooling of size k, stride s and dilation d lets each position see
`(k - 1) * d * jump` px more than before and multiplies the jump by s (Araujo et al. 2019, Computing
Receptive Fields of Convolutional Neural Networks, https://distill.pub/2019/computing-receptive-fields);
of branches that meet, the largest counts. Whatever mixes all positions (attention, a global mean,
a fully connected layer over a map) sees the whole input, and so does everything behind it.
Normalisation by its own statistics is not counted, as is usual, nor are shuffles of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

aten = torch.ops.aten
Op = Any  # an overload packet such as aten.convolution


@dataclass(frozen=True)
class Field:
    """What one position of a tensor sees of the input, and how its positions and channels lie."""

    size: tuple[int, int]  # px, height and width; of no meaning where `whole`
    jump: tuple[float, float]  # px of the input between two neighbouring positions
    positions: int  # of one image
    channels: int
    whole: bool = False

    @property
    def extent(self) -> int | None:
        """px of the longer side; None: the whole input."""
        return None if self.whole else max(self.size)


def of_input(images: torch.Tensor) -> Field:
    """Of the pictures themselves, `[1, C, H, W]`: each pixel sees itself."""
    _, channels, height, width = images.shape
    return Field((1, 1), (1.0, 1.0), height * width, channels)


def of_output(op: Op, args: Sequence[Any], out: torch.Tensor, seen: Sequence[Field]) -> Field:
    """The field of what an operation returns.

    Args:
        op: the operation, whichever its overload.
        args: its positional arguments.
        out: what it returned (of several tensors the first).
        seen: the fields of those arguments that stem from the input, at least one.
    """
    field = _largest(seen)
    if rule := _RULES.get(op):
        return rule(field, args, out)
    if op in _MIXING or (op in _PRODUCTS and len(seen) > 1):
        return replace(field, whole=True)
    if op in _PRODUCTS:
        return _product(field, args, out)
    return field


def _largest(fields: Sequence[Field]) -> Field:
    def most(values: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
        return max(v[0] for v in values), max(v[1] for v in values)

    return Field(
        most([f.size for f in fields]),
        most([f.jump for f in fields]),
        max(f.positions for f in fields),
        max(f.channels for f in fields),
        any(f.whole for f in fields),
    )


def _widened(
    field: Field, kernel: Sequence[int], stride: Sequence[float], dilation: Sequence[int]
) -> Field:
    height, width = (
        round(s + (k - 1) * d * j)
        for s, k, d, j in zip(field.size, kernel, dilation, field.jump, strict=True)
    )
    down, across = (j * s for j, s in zip(field.jump, stride, strict=True))
    return replace(field, size=(height, width), jump=(down, across))


def _convolution(field: Field, args: Sequence[Any], out: torch.Tensor) -> Field:
    _, weight, _, stride, _, dilation, transposed = args[:7]
    if out.ndim != 4:  # over channels or over time: no picture is left
        return replace(field, whole=True)
    if transposed:  # each output position lies between the input's, and sees no more of them
        stride = [1 / step for step in stride]
        weight, dilation = weight[:, :, :1, :1], (1, 1)
    wider = _widened(field, weight.shape[2:], _pair(stride), _pair(dilation))
    return replace(wider, positions=out.shape[2] * out.shape[3], channels=out.shape[1])


def _average(field: Field, args: Sequence[Any], out: torch.Tensor) -> Field:
    return _pooling(field, args[:3], out)


def _maximum(field: Field, args: Sequence[Any], out: torch.Tensor) -> Field:
    return _pooling(field, args, out, _pair(args[4]) if len(args) > 4 else (1, 1))


def _pooling(
    field: Field, args: Sequence[Any], out: torch.Tensor, dilation: tuple[int, int] = (1, 1)
) -> Field:
    kernel = _pair(args[1])
    stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
    wider = _widened(field, kernel, stride, dilation)
    return replace(wider, positions=out.shape[-1] * out.shape[-2])


def _adaptive(field: Field, args: Sequence[Any], out: torch.Tensor) -> Field:
    before, after = args[0].shape[-2:], out.shape[-2:]
    if tuple(after) == (1, 1):
        return replace(field, positions=1, whole=True)
    stride = [b // a for b, a in zip(before, after, strict=True)]
    kernel = [b - (a - 1) * s for b, a, s in zip(before, after, stride, strict=True)]
    return replace(_widened(field, kernel, stride, (1, 1)), positions=after[0] * after[1])


def _reduction(field: Field, args: Sequence[Any], out: torch.Tensor) -> Field:
    """A mean over channels alone keeps the positions apart; any other mixes them."""
    shape = args[0].shape
    dims = args[1] if len(args) > 1 and args[1] else range(len(shape))
    dims = [dims] if isinstance(dims, int) else list(dims)
    if len(dims) == 1 and shape[dims[0]] == field.channels:
        return field
    return replace(field, whole=True)


def _product(field: Field, args: Sequence[Any], out: torch.Tensor) -> Field:
    """A matrix product with weights: of each position's channels, or across positions.

    A linear layer has lost its layout by now: `[rows, k]`. Rows are positions where there are as
    many, or where k is the number of channels.
    """
    tensors = [a for a in args if isinstance(a, torch.Tensor) and a.ndim >= 2]
    rows, contracted = tensors[0].shape[-2:]
    if rows > 1 and (contracted == field.channels or rows == field.positions):
        return replace(field, positions=rows, channels=out.shape[-1])
    return replace(field, positions=rows, channels=out.shape[-1], whole=True)


def _pair(value: Any) -> tuple[Any, Any]:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return (values[0], values[-1])


_RULES: dict[Op, Callable[[Field, Sequence[Any], torch.Tensor], Field]] = {
    **dict.fromkeys((aten.convolution, aten._convolution), _convolution),
    **dict.fromkeys((aten.max_pool2d_with_indices, aten.max_pool2d), _maximum),
    aten.avg_pool2d: _average,
    **dict.fromkeys(
        (aten._adaptive_avg_pool2d, aten.adaptive_avg_pool2d, aten.adaptive_max_pool2d), _adaptive
    ),
    **dict.fromkeys(
        (aten.mean, aten.sum, aten.amax, aten.max, aten.var, aten.std, aten.var_mean), _reduction
    ),
}
_PRODUCTS = frozenset((aten.mm, aten.addmm, aten.bmm, aten.baddbmm))
_MIXING = frozenset(
    (
        aten._scaled_dot_product_flash_attention_for_cpu,
        aten._scaled_dot_product_flash_attention,
        aten._scaled_dot_product_efficient_attention,
        aten._fft_r2c,
        aten._fft_c2c,
        aten._fft_c2r,
    )
)
POOLINGS = frozenset(_RULES) - {aten.convolution, aten._convolution}
