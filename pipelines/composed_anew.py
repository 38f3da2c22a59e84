"""What params.yaml says that composing conf/ anew would drop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from graftwork.config.yaml_text import from_yaml
from graftwork.recording.tracked_params import flat
from pipelines.overrides import CONF

SHOWN = 4  # settings that a message names


def dropped(params: Path, overrides: Sequence[str], conf: Path = CONF) -> dict[str, str]:
    """Settings of params.yaml that are neither conf/'s nor kept by these overrides.

    Args:
        params: params.yaml as it is.
        overrides: legal ones, of one composition.

    Returns:
        values by key (`dataset.name`: `folder`), those first that name something.
    """
    if not params.is_file():
        return {}
    now = flat(from_yaml(params.read_text(encoding="utf-8")))
    with initialize_config_dir(str(conf), version_base=None):
        plain, wanted = (_composed(given) for given in ([], overrides))
    lost = {
        key: value
        for key, value in now.items()
        if value not in (plain.get(key), wanted.get(key)) and not key.endswith("_target_")
    }
    return dict(sorted(lost.items(), key=lambda item: not item[0].endswith(".name")))


def _composed(overrides: Sequence[str]) -> dict[str, str]:
    config = compose("config", list(overrides))
    return flat(OmegaConf.to_container(config, resolve=True))


def told(lost: dict[str, str]) -> str:
    """The warning."""
    some = ", ".join(f"{key}={value}" for key, value in list(lost.items())[:SHOWN])
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    return (
        f"graftwork: -S composes params.yaml anew from conf/; gone from it: {some}{more}. "
        "What should stay must be said again with -S."
    )
