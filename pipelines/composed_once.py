"""Compositions of a sweep's jobs: those that differ in values alone are composed once.

Hydra reads and merges three dozen files for every job, a fifth of a second; jobs that choose the
same files differ in what the command line sets afterwards.
"""

from __future__ import annotations

import copy
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

KEPT = 8  # compositions: a sweep may go through the same few files many times


class ComposedOnce(ConfigLoaderImpl):
    """Hydra's loader for the jobs of one sweep; what it composes is what Hydra's own would.

    Values are set when all files have been merged, one after the other, so that the merged files
    of one job can be those of the next.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        super().__init__(loader.get_search_path())
        self._merged: dict[tuple[str, ...], DictConfig] = {}  # by the choices of files

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """The composition of a job; as `ConfigLoader` says."""
        lines = list(sweep_overrides)
        parsed = OverridesParser.create(config_loader=self).parse_overrides(lines)
        top = OmegaConf.to_container(master_config)
        values = [override for override in parsed if self._sets_a_value(override, top)]
        files = [line for line, each in zip(lines, parsed, strict=True) if each not in values]
        config = copy.deepcopy(self._files(master_config, files))
        self._apply_overrides_to_config(values, config)
        config.hydra.overrides.task = lines
        how = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            parsed, how.exclude_keys, how.item_sep, how.kv_sep
        )
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        return config

    def _files(self, master_config: DictConfig, choices: list[str]) -> DictConfig:
        key = tuple(choices)
        if key not in self._merged:
            if len(self._merged) >= KEPT:
                self._merged.clear()
            self._merged[key] = super().load_sweep_config(master_config, choices)
        return self._merged[key]

    def _sets_a_value(self, override: Override, top: Any) -> bool:
        """Whether it surely sets a value of the experiment; else it may choose a file.

        Args:
            top: keys of the sweep's own composition.
        """
        key = override.key_or_group
        if override.is_hydra_override() or override.package is not None or "/" in key:
            return False
        is_leaf = key in top and not isinstance(top[key], dict)
        return "." in key or (is_leaf and not self.repository.group_exists(key))


def composed_once(context: HydraContext) -> HydraContext:
    """For the launcher of a sweep, with a loader of that kind."""
    return HydraContext(ComposedOnce(context.config_loader), context.callbacks)
