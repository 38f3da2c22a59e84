"""What recorded runs would use of the store if they ran again today.

That is asked, not what they used then: pieces under the keys of earlier versions, or of weights
that have gone, are of no use to anyone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graftwork.config.components import build
from graftwork.config.errors import UserError
from graftwork.config.yaml_text import from_yaml
from graftwork.data.images import decoded_store
from graftwork.experiment import Experiment
from graftwork.features.engines.keys import feature_key, network_key
from graftwork.housekeeping.contents import Piece
from graftwork.recording.finished_runs import recorded_configurations
from graftwork.storage.artifacts import Artifacts

KINDS = (
    "decoded",
    "downloads",
    "features",
    "networks",
    "prefixes",
    "trained",  # a finished run is of use without what it was converted to
)  # of others nobody records who uses them; they are small
PARTED = ("networks", "prefixes")
RUNS = [(engine, precision) for engine in ("openvino", "torch") for precision in ("bf16", "fp32")]
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


class References:
    """Which pieces the recorded runs of a project would use, and the project's own params.yaml.

    Attributes:
        unread: how many runs could not be asked: their configuration is none of this version, or
            was not recorded.
    """

    def __init__(self, root: Path) -> None:
        """Raises UserError where nothing is recorded."""
        self._artifacts = Artifacts.at(root)
        self._keys: set[tuple[str, str]] = set()
        self.unread = 0
        for params, tags in recorded_configurations(root):
            self.unread += not self._add(params)
            self._keys.add(("downloads", tags.get("weights.sha256", "")))
        if self._artifacts.params.is_file():
            self._add(from_yaml(self._artifacts.params.read_text("utf-8")))

    def hold(self, piece: Piece) -> bool:
        """Whether a run would use it; also what belongs to no run, and is small."""
        # What belongs to a prefix of a network is known by the network's key, and one of its own.
        network, _, _ = piece.key.partition("-") if piece.kind in PARTED else (piece.key, "", "")
        return piece.kind not in KINDS or (piece.kind, network) in self._keys

    def _add(self, params: Any) -> bool:
        """Takes in what this configuration refers to. Returns whether it could be read."""
        self._keys |= {("downloads", sha256) for sha256 in _SHA256.findall(repr(params))}
        try:
            experiment = build(params, Experiment, "")
        except UserError:
            return False
        self._keys |= set(_keys(experiment, self._artifacts))
        return True


def _keys(experiment: Experiment, artifacts: Artifacts) -> Iterator[tuple[str, str]]:
    yield "decoded", decoded_store(artifacts, experiment.dataset).folder.name
    try:
        network = network_key(experiment, artifacts)
    except UserError:  # its weights are no longer here
        return
    yield "networks", network
    if experiment.extraction.prefix != "live" and experiment.transfer.epochs:
        yield "prefixes", network
    for engine, precision in RUNS:
        yield "features", feature_key(network, engine, precision, experiment)
