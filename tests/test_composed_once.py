"""The files of a composition are merged once: nobody notices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf


def composed(conf: Path, *overrides: str) -> Any:
    with initialize_config_dir(str(conf), version_base=None):
        return compose("config", list(overrides))


def test_values_groups_and_changed_files_are_taken_each_time(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "config.yaml").write_text("defaults: [net: a, _self_]\nseed: 0\n")
    for name, width in (("a", 1), ("b", 22)):
        (tmp_path / "net" / f"{name}.yaml").write_text(f"width: {width}\n")
    first = composed(tmp_path, "seed=3")
    first.net.width = 9  # whoever changes what it got
    assert composed(tmp_path) == {"net": {"width": 1}, "seed": 0}
    assert composed(tmp_path, "seed=4", "net=b") == {"net": {"width": 22}, "seed": 4}
    assert composed(tmp_path, "+net.depth=2") == {"net": {"width": 1, "depth": 2}, "seed": 0}
    (tmp_path / "net" / "a.yaml").write_text("width: 333\n")
    assert OmegaConf.to_container(composed(tmp_path)) == {"net": {"width": 333}, "seed": 0}
