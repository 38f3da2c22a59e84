"""How frozen networks run: the fields of conf/extraction."""

from __future__ import annotations

from dataclasses import dataclass

from graftwork.config.components import Component
from graftwork.config.errors import check_choice, check_range

ENGINES = ("auto", "openvino", "torch")
PRECISIONS = ("auto", "fp32", "bf16")
PREFIXES = ("auto", "stored", "live")


@dataclass(frozen=True)
class Extraction(Component):
    """How the frozen backbone runs."""

    engine: str
    precision: str  # auto: bf16 where the hardware has it
    batch_size: int  # of every pass through a network that is not trained, evaluation included
    min_cosine: float  # of features to eager fp32, mean of the first batch; else fall back
    # How many different views of a picture training sees: epoch e sees view e mod K. None: in every
    # epoch a new one.
    views: int | None
    # Of frozen first layers: auto stores their maps where views are given, and runs them in each
    # epoch where that cannot be; stored is refused then; live always runs them.
    prefix: str
    max_gb: float  # 1e9 bytes that the stored maps of one training may take

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, ENGINES)
        check_choice("precision", self.precision, PRECISIONS)
        check_range("batch_size", self.batch_size, 1)
        check_range("min_cosine", self.min_cosine, 0, 1)
        if self.views is not None:
            check_range("views", self.views, 1)
        check_choice("prefix", self.prefix, PREFIXES)
        check_range("max_gb", self.max_gb, 0)
