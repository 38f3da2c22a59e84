"""Which files of the package a stage runs, found by reading its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "src"
# The typed root names every kind of component; a stage runs only those that it uses itself.
SCHEMA = {
    "graftwork.experiment",
    "graftwork.config.components",
    "graftwork.config.errors",
    "graftwork.storage.artifacts",
}


def files_run_by(stage: str) -> set[Path]:
    """Files of graftwork that `pipelines/<stage>.py` imports, at whatever depth or moment."""
    found: set[Path] = set()
    waiting = [PROJECT / "pipelines" / f"{stage}.py"]
    while waiting:
        for module in _imports(waiting.pop()):
            file = _file(module)
            if module not in SCHEMA and file and file not in found:
                found.add(file)
                waiting.append(file)
    return found


def _file(module: str) -> Path | None:
    path = SOURCE / Path(*module.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)


def _imports(file: Path) -> Iterator[str]:
    for node in _nodes(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("graftwork"):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("graftwork"))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        yield child
        yield from _nodes(child)
