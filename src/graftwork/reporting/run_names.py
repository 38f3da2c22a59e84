"""Names of runs: as short as tells them apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

LEADING = ("model.name", "transfer.name")  # by their bare values, wherever they differ
FIRST = ("seed", "model.input_size", "model.pooling")  # the rest as key=value, these ones before
IGNORED = ("tracking.", "dataset.path", "model.weights.", "evaluation.")  # say nothing, or too much


def names(params: Sequence[Mapping[str, str]], run_ids: Sequence[str]) -> list[str]:
    """A name for each run, made of the settings that tell it from the others.

    Args:
        params: flat settings of each run, such as `{"model.name": "resnet50", "seed": "0"}`.
        run_ids: stand in the names of runs that differ in nothing.
    """
    differing = _differing(params, range(len(params)))
    leading = [key for key in LEADING if key in differing] or [LEADING[0]]
    found = [" ".join(row[key] for key in leading if key in row) or "run" for row in params]
    leaf = Counter(key.rpartition(".")[2] for key in {key for row in params for key in row})
    _tell_apart(found, params, run_ids, range(len(params)), leaf)
    return found


def _tell_apart(
    found: list[str],
    params: Sequence[Mapping[str, str]],
    run_ids: Sequence[str],
    rows: Sequence[int],
    leaf: Mapping[str, int],
) -> None:
    """Adds to equal names, in place, the setting that parts them best, until none are equal."""
    same: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        same[found[row]].append(row)
    for group in (group for group in same.values() if len(group) > 1):
        choice = _differing(params, group)
        if not choice:
            for row in group:
                found[row] += f" {run_ids[row][:8]}"
            continue
        key = max(choice, key=lambda key: (choice[key], key in FIRST, -len(key), key))
        short = key.rpartition(".")[2]
        for row in group:
            label = short if leaf[short] == 1 else key
            found[row] += f" {label}={params[row].get(key, 'none')}"
        _tell_apart(found, params, run_ids, group, leaf)


def _differing(params: Sequence[Mapping[str, str]], rows: Sequence[int]) -> dict[str, int]:
    """The settings in which these runs differ, with how many different values."""
    keys = {key for row in rows for key in params[row] if not key.startswith(IGNORED)}
    counts = {key: len({params[row].get(key) for row in rows}) for key in keys}
    return {key: count for key, count in counts.items() if count > 1}
