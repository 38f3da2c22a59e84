"""How the network of a model folder is run when it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from graftwork.config.components import build
from graftwork.config.yaml_text import from_yaml
from graftwork.settings.evaluation import EAGER
from graftwork.settings.extraction import Extraction


@dataclass(frozen=True)
class Settings:
    """As of graftwork.features.engines.choosing.Request, and where torch computes."""

    engine: str
    precision: str
    batch_size: int
    min_cosine: float
    accelerator: str  # as of conf/trainer

    @classmethod
    def of(cls, model: Path, trained: bool) -> Settings:
        """As the run's own evaluation was told, where params.yaml lies beside the model folder and
        is of this version; else as a folder alone.

        Args:
            trained: whether the network was, so that conf/evaluation tells and not conf/extraction.
        """
        path = model.absolute().parent / "params.yaml"
        try:
            params = from_yaml(path.read_text("utf-8"))
            wanted = build(params["extraction"], Extraction, "extraction")
            told = params["evaluation"] if trained else params["extraction"]
            engine, precision = str(told["engine"]), str(told["precision"])
            accelerator = str(params["trainer"]["accelerator"])
        except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError):
            return ALONE
        if engine == EAGER:  # the nearest that streams
            engine, precision = "torch", "fp32"
        return cls(engine, precision, wanted.batch_size, wanted.min_cosine, accelerator)


# Of a model folder alone, which says nothing of it: what conf/ says, as a test holds.
ALONE = Settings("auto", "auto", batch_size=32, min_cosine=0.998, accelerator="auto")
