"""A small experiment whose data is prepared, for tests of what comes after."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from graftwork.data import manifest
from graftwork.experiment import Experiment
from graftwork.storage.artifacts import Artifacts


def tiny_experiment(
    params: Mapping[str, Any], root: Path, shared: Path | None = None
) -> tuple[Experiment, Artifacts]:
    """The experiment after its stages download and prepare."""
    from pipelines import download, prepare

    artifacts = Artifacts.at(root, shared)
    root.mkdir(exist_ok=True)
    artifacts.params.write_text(yaml.safe_dump(dict(params)))
    experiment = Experiment.from_file(artifacts.params)
    download.run(experiment, artifacts)
    prepare.run(experiment, artifacts)
    return experiment, artifacts


def usable(artifacts: Artifacts) -> pd.DataFrame:
    return manifest.usable(manifest.read(artifacts.manifest))


def local_weights(path: Path, key_map: str = "by_name") -> dict[str, Any]:
    """`model.weights` that names a local file."""
    content = path.read_bytes()
    return {
        "source": {
            "_target_": "graftwork.data.sources.file.LocalFile",
            "path": str(path),
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        "key_map": key_map,
        "pretrained_on": "nothing",
        "licence": "none",
    }
