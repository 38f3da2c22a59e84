"""Do multiply-accumulates (MAC) rank what a network takes? Spearman's rho over many networks."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.table import Table

from graftwork.process.progress import count_bar

THREADS = 2
TIMED = 3  # runs a round, after one that only warms
# For photos of 224 px or more: networks for 32 px would raise rho by being tiny, and tell nothing.
NETWORKS = (
    # what multiplies densely
    "resnet18", "resnet34", "resnet50", "resnetv2_50", "vgg11", "inception_v3", "densenet121",
    # grouped and depthwise convolutions
    "resnext50_32x4d", "mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv3_large_100",
    "efficientnet_b0", "efficientnet_lite0", "efficientnet_lite2", "regnety_008", "convnext_atto",
    # attention
    "vit_tiny_patch16_224", "vit_small_patch16_224",
    # this project's own
    "alexnet", "zfnet", "squeezenet1_1", "googlenet", "shufflenet_v2_x1_0",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """One network, one image at its own size."""

    name: str
    size: int  # px
    parameters: int
    macs: int
    latency: float  # ms, median


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation with a 95 % interval."""

    rho: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.rho:.2f} ({self.low:.2f} to {self.high:.2f})"


def correlation(left: Sequence[float], right: Sequence[float]) -> Correlation:
    """Spearman's rho of two lists of at least four numbers each.

    The interval is Fisher's, with the variance (1 + rho²/2) / (n - 3) of Bonett and Wright
    (Psychometrika 65, 2000), which holds for ranks also where the correlation is strong.
    """
    from scipy.stats import spearmanr

    rho = float(spearmanr(left, right).statistic)
    if abs(rho) > 1 - 1e-12:
        return Correlation(rho, rho, rho)
    half = 1.959964 * math.sqrt((1 + rho**2 / 2) / (len(left) - 3))
    return Correlation(rho, math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half))


def displaced(rows: Sequence[Measured]) -> dict[str, int]:
    """Ranks between a network's latency and its MACs, where a fifth of the field or more.

    Positive: slower than its MACs say.
    """
    by_macs, by_latency = (
        {row.name: place for place, row in enumerate(sorted(rows, key=key))}
        for key in (lambda row: row.macs, lambda row: row.latency)
    )
    moved = {row.name: by_latency[row.name] - by_macs[row.name] for row in rows}
    return {name: ranks for name, ranks in moved.items() if abs(ranks) >= len(rows) / 5}


def measured(names: Sequence[str], rounds: int) -> list[Measured]:
    """Latencies in rounds over all networks, so that a slow minute of the machine hits all alike.

    fp32, channels_last, batch 1, THREADS threads, evaluation mode.
    """
    import torch

    from graftwork.models.backbones import register

    register()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    rows, runs = [], []
    with count_bar("networks built", len(names)) as seen:
        for name in names:
            row, run = _built(name)
            rows.append(row)
            runs.append(run)
            seen(len(rows))
    seconds: list[list[float]] = [[] for _ in runs]
    with torch.inference_mode(), count_bar("rounds measured", rounds) as seen:
        for done in range(rounds):
            for run, found in zip(runs, seconds, strict=True):
                run()
                found += [_seconds(run) for _ in range(TIMED)]
            seen(done + 1)
    return [
        Measured(*row, latency=1000 * statistics.median(found))
        for row, found in zip(rows, seconds, strict=True)
    ]


def _built(name: str) -> tuple[tuple[str, int, int, int], Callable[[], object]]:
    import torch
    from timm.data.config import resolve_model_data_config

    from graftwork.process.vision import timm
    from graftwork.profiling.layers import layers

    network = timm.create_model(name, pretrained=False).eval()
    shape = resolve_model_data_config(network)["input_size"]
    macs = sum(layer.macs for layer in layers(network, shape))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(1, *shape).contiguous(memory_format=torch.channels_last)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return (name, shape[-1], parameters, macs), lambda: network(image)


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def known(names: Sequence[str]) -> list[str]:
    """Those of the names that this version of the project has."""
    from graftwork.models.timm_model import is_registered

    return [name for name in names if is_registered(name)]


def table(rows: Sequence[Measured]) -> Table:
    """The networks by rising MACs; those out of rank are marked."""
    moved = displaced(rows)
    order = np.argsort(np.argsort([row.latency for row in rows])) + 1
    places = {row.name: int(place) for row, place in zip(rows, order, strict=True)}
    shown = Table(box=box.SIMPLE_HEAD)
    for heading in ("MAC\nplace", "network", "px", "params\nM", "MAC\nM", "ms", "ms\nplace", ""):
        left = heading in ("network", "")
        shown.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for place, row in enumerate(sorted(rows, key=lambda row: row.macs), 1):
        ranks = moved.get(row.name, 0)
        word = f"{abs(ranks)} {'slower' if ranks > 0 else 'faster'}" if ranks else ""
        shown.add_row(
            *(str(place), row.name, str(row.size), f"{row.parameters / 1e6:.2f}"),
            *(f"{row.macs / 1e6:,.1f}", f"{row.latency:.2f}", str(places[row.name]), word),
        )
    return shown


def sentence(rows: Sequence[Measured]) -> str:
    """What was found, in words."""
    latency = [row.latency for row in rows]
    return (
        f"{len(rows)} networks, batch 1, fp32, {THREADS} threads: Spearman's rho of latency with "
        f"MACs {correlation([row.macs for row in rows], latency)}, with parameters "
        f"{correlation([row.parameters for row in rows], latency)}; 95 % intervals"
    )
