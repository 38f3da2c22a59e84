"""Transforms of albumentations by name, each checked and tried before anything is spent."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from graftwork.augmentations.seeded import drawn, strict
from graftwork.config.errors import UserError, nearest_first, unknown

SIDE = "side"  # in arguments: the network's, px
NEAREST = 8  # names that an error lists
SEVERAL = ("OneOf", "SomeOf", "RandomOrder", "Sequential")  # they take transforms
_CLASS = re.compile(r"^class ([A-Z]\w+)\(", re.MULTILINE)
PASSED_OVER = ("Lambda",)  # a YAML holds no code


@cache
def source_names() -> frozenset[str]:
    """Classes of the library by its source: a misspelt name is refused without importing it, which
    takes seconds in every stage. What is no transform among them the library tells later."""
    spec = find_spec("albumentations")
    assert spec is not None and spec.origin, "albumentations is a dependency of this package"
    files = Path(spec.origin).parent.rglob("*.py")
    found = {name for file in files for name in _CLASS.findall(file.read_text(encoding="utf-8"))}
    return frozenset(found)


def check_names(entry: Any, where: str) -> None:
    """Raises UserError for an entry that is none, or names what the library has not got."""
    name, arguments = arguments_of(entry, where)
    if name not in source_names():
        raise unknown(where, name, nearest_first(name, source_names())[:NEAREST])
    inner = arguments.get("transforms")
    if name in SEVERAL and isinstance(inner, list):
        for at, one in enumerate(inner):
            check_names(one, f"{where}.{name}.transforms[{at}]")


@cache
def _classes() -> dict[str, type]:
    """Every transform of the library by its name."""
    import albumentations as A

    single = {
        name: found
        for name, found in vars(A).items()
        if inspect.isclass(found) and issubclass(found, A.BasicTransform)
    }
    core = A.BasicTransform.__module__  # where base classes live, and nothing else
    usable = {n: c for n, c in single.items() if c.__module__ != core and n not in PASSED_OVER}
    return usable | {name: getattr(A, name) for name in SEVERAL}


def arguments_of(entry: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of an entry: `Name`, or `{Name: {argument: value}}`.

    Raises:
        UserError: it is neither.
    """
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((name, arguments),) = entry.items()
        if arguments is None or isinstance(arguments, Mapping):
            return str(name), {str(key): value for key, value in (arguments or {}).items()}
    raise UserError(
        f"{where}: {entry!r} is no transform. Legal: a name, or a name with its arguments: "
        "HorizontalFlip, {Rotate: {limit: 10, p: 0.5}}."
    )


def made(entry: Any, where: str, side: int) -> Any:
    """The transform of an entry.

    Args:
        where: its place, for messages.
        side: of the network's input, px.

    Raises:
        UserError: a name or an argument that the library lacks, a value that it refuses.
    """
    name, arguments = arguments_of(entry, where)
    cls = _named(name, where)
    legal = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    for key in arguments:
        if key == "self" or key not in legal:
            raise unknown(f"{where}.{name}.{key}", key, [k for k in legal if k != "self"])
    values = {key: _sized(value, side) for key, value in arguments.items()}
    if name in SEVERAL:
        values["transforms"] = _inner(values.get("transforms"), f"{where}.{name}", side)
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}.{name}: {_plain(error)}") from error


def _named(name: str, where: str) -> type:
    classes = _classes()
    if name not in classes:
        nearest = nearest_first(name, classes)[:NEAREST]
        remedy = f"(The nearest of {len(classes)} of albumentations.)"
        raise unknown(where, name, nearest, remedy)
    return classes[name]


def _inner(entries: Any, where: str, side: int) -> list[Any]:
    if not isinstance(entries, list) or not entries:
        raise UserError(f"{where}.transforms: a list of transforms, got {entries!r}.")
    return [made(entry, f"{where}.transforms[{at}]", side) for at, entry in enumerate(entries)]


def _sized(value: Any, side: int) -> Any:
    """A value with the number of px for the word `side`, within lists too."""
    if value == SIDE:
        return side
    return [_sized(item, side) for item in value] if isinstance(value, list) else value


def _plain(error: Exception) -> str:
    """Pydantic's words on one line, without its inner names and addresses."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [
        re.sub(r"\s*\[type=.*", "", line)
        for line in lines
        if line and not line.startswith("For further information") and "for InitSchema" not in line
    ]
    return ": ".join(kept) + ("" if kept and kept[-1].endswith(".") else ".")


def tried(entry: Any, where: str, side: int) -> None:
    """Makes the transform of an entry, and draws twice with each that it consists of.

    Raises:
        UserError: besides what `made` refuses, it wants more than a picture (boxes, masks, other
            pictures), gives something else than a picture of bytes, or does not follow from the
            numbers that it is given.
    """
    made(entry, where, side)
    name, arguments = arguments_of(entry, where)
    if name in SEVERAL:
        for place, inner in enumerate(arguments["transforms"]):
            tried(inner, f"{where}.{name}.transforms[{place}]", side)
        return
    first, again = (_once(entry, where, side) for _ in range(2))
    if first.dtype != np.uint8 or first.ndim != 3 or first.shape[2] != 3:
        raise UserError(
            f"{where}.{name}: gives {first.dtype} {list(first.shape)}. Legal: transforms that give "
            "pictures of bytes, [height, width, 3]; the network's own values are subtracted later."
        )
    if not np.array_equal(first, again):
        raise UserError(
            f"{where}.{name}: draws numbers of its own, so that no run could be repeated. Choose "
            "another transform."
        )


def _once(entry: Any, where: str, side: int) -> np.ndarray:
    """One draw that happens, on a picture larger than the network's."""
    import albumentations as A

    numbers = np.random.Generator(np.random.Philox(key=[0, 0]))
    height, width = round(1.25 * side), round(1.5 * side)
    picture = numbers.integers(0, 256, (height, width, 3), dtype=np.uint8)
    transform = made(entry, where, side)
    transform.p = 1.0
    try:
        return strict(lambda: drawn(A.Compose([transform]), picture, numbers))
    except Exception as error:  # whatever a transform may raise
        name, _ = arguments_of(entry, where)
        raise UserError(
            f"{where}.{name}: cannot be applied to a picture alone: {_plain(error)} Choose another "
            "transform, or other arguments."
        ) from error
