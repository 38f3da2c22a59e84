"""What a search may choose: keys of the configuration, their values, and when a key counts.

    transfer: [linear_probe, lp_ft, layer_decay]
    transfer.rates.head:
      low: 0.0001
      high: 0.01
      log: true
      when: {transfer: [lp_ft, layer_decay]}   # of a head alone there is no such rate

A key under another's value stands behind it. Values are text, as in an override.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from graftwork.config.errors import UserError, unknown

if TYPE_CHECKING:
    from optuna.trial import Trial

WORDS = ("values", "low", "high", "step", "log", "when")


@dataclass(frozen=True)
class Dimension:
    """One key of the search."""

    key: str
    values: tuple[str, ...]  # empty: a range
    low: float
    high: float
    step: float | None
    log: bool
    when: Mapping[str, tuple[str, ...]]  # it counts where these keys have one of these values

    def counts(self, chosen: Mapping[str, str]) -> bool:
        return all(chosen.get(key) in values for key, values in self.when.items())

    def suggested(self, trial: Trial) -> str:
        """What Optuna tries next."""
        if self.values:
            return str(trial.suggest_categorical(self.key, self.values))
        if isinstance(self.low, int) and isinstance(self.high, int):
            step = int(self.step or 1)
            return str(trial.suggest_int(self.key, self.low, self.high, step=step, log=self.log))
        found = trial.suggest_float(self.key, self.low, self.high, step=self.step, log=self.log)
        return f"{found:.3g}"  # names of folders and rows are made of it

    @property
    def ends(self) -> tuple[str, ...]:
        """What is tried before any work: all values, or both ends of a range."""
        return self.values or (str(self.low), str(self.high))

    @property
    def words(self) -> list[str]:
        """For the name of the sweep."""
        return list(self.values) or [f"{self.low:g}..{self.high:g}"]


@dataclass(frozen=True)
class Space:
    """All keys of a search, each behind those that it counts under."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(cls, path: str | None, swept: Mapping[str, Sequence[str]]) -> Space:
        """Of the lists on the command line, and of a file.

        Raises:
            UserError: it says nothing to choose, or something that is none.
        """
        found = [_dimension(key, list(values), ()) for key, values in swept.items()]
        for key, said in _read(path).items() if path else ():
            if key in swept:
                raise UserError(f"{path}: {key} is on the command line, too. Say it once.")
            found.append(_dimension(key, said, [each.key for each in found]))
        if not found:
            raise UserError(
                "hydra.sweeper.space: nothing to choose. Name a YAML file "
                "(hydra.sweeper.space=FILE), or give lists: transfer=linear_probe,lp_ft."
            )
        return cls(tuple(found))

    def suggested(self, trial: Trial) -> list[str]:
        """The overrides of a trial."""
        chosen: dict[str, str] = {}
        for each in self.dimensions:
            if each.counts(chosen):
                chosen[each.key] = each.suggested(trial)
        return _overrides(chosen)

    def examples(self) -> Iterator[list[str]]:
        """Overrides in which every value of the space is found once, all else at its first."""
        for each in self.dimensions:
            for end in each.ends:
                yield _overrides(self._with({each.key: end, **self._under(each)}))

    def _with(self, forced: Mapping[str, str]) -> dict[str, str]:
        chosen: dict[str, str] = {}
        for each in self.dimensions:
            if each.counts(chosen):
                chosen[each.key] = forced.get(each.key, each.ends[0])
        return chosen

    def _under(self, dimension: Dimension) -> dict[str, str]:
        """First values under which it counts."""
        found: dict[str, str] = {}
        known = {each.key: each for each in self.dimensions}
        for key, values in dimension.when.items():
            found |= {key: values[0], **self._under(known[key])}
        return found


def _overrides(chosen: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in chosen.items()]


def _read(path: str) -> dict[str, Any]:
    try:
        said = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise UserError(
            f"hydra.sweeper.space: {path} cannot be read ({reason}). Name a YAML file."
        ) from error
    if not isinstance(said, dict) or not said:
        raise UserError(f"{path}: no search space. Write lines such as 'seed: [0, 1, 2]'.")
    return {str(key): value for key, value in said.items()}


def _dimension(key: str, said: Any, earlier: Sequence[str]) -> Dimension:
    facts = said if isinstance(said, dict) else {"values": said}
    for word in facts:
        if word not in WORDS:
            raise unknown(f"{key} of the search space", str(word), WORDS)
    when = facts.get("when") or {}
    for other in when:
        if other not in earlier:
            raise unknown(f"{key}.when: a key above it", other, earlier)
    numbers: list[Any] = [facts.get("low"), facts.get("high")]
    values, (low, high) = facts.get("values"), numbers
    is_list, is_range = (
        isinstance(values, list) and bool(values),
        low is not None and high is not None,
    )
    if is_list == is_range:
        raise UserError(f"{key}: neither a list of values nor a range. Write {key}: [1, 2], or low "
                        "and high.")  # fmt: skip
    if is_range and not (_is_number(low) and _is_number(high) and low < high):
        raise UserError(f"{key}: from {low!r} to {high!r} is no range of numbers (1e-4 is text in "
                        "YAML: write 0.0001 or 1.0e-4).")  # fmt: skip
    if is_range and facts.get("log") and low <= 0:
        raise UserError(f"{key}: low {low} with log: it must lie above 0.")
    texts = {other: tuple(map(_text, _list(one))) for other, one in when.items()}
    return Dimension(
        key, tuple(map(_text, _list(values) if is_list else [])), low or 0, high or 0,
        facts.get("step"), bool(facts.get("log")), texts,
    )  # fmt: skip


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
