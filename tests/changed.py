"""Which tests `make quick` runs: those of what changed, and the fast core.

A file changed since HEAD left main, or since the commit before where it has not, or is not
committed. `src/graftwork/A/b.py` is tested by `tests/A/test_b*.py`, `pipelines/b.py` by
`tests/pipelines/test_b*.py`, conf/ by tests/test_conf.py; a changed test is one of them. The rest
is for `make test`, as is what runs whole experiments.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PROJECT = Path(__file__).parents[1]
CORE = ("tests/config", "tests/settings", "tests/storage", "tests/test_pipeline_graph.py")
WHOLE_RUNS = (
    *("tests/pipelines/test_e*.py", "tests/pipelines/test_finetune*.py", "tests/test_outside*.py"),
    *("tests/pipelines/test_sweepers.py", "tests/models/test_every_network.py"),
    *("tests/test_adding_a_network.py", "tests/test_permuted_test_labels.py", "tests/test_dvc.py"),
)


def changed(project: Path) -> set[str]:
    """Paths in the project, of what is still there."""
    base = _git(project, "merge-base", "HEAD", "main").strip()
    if base in ("", _git(project, "rev-parse", "HEAD").strip()):
        base = _git(project, "rev-parse", "--verify", "--quiet", "HEAD~1").strip() or "HEAD"
    found = _git(project, "diff", "--name-only", base)
    found += _git(project, "ls-files", "--others", "--exclude-standard")
    return {path for path in found.splitlines() if (project / path).is_file()}


def _git(project: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=project, capture_output=True, text=True, check=False)
    return done.stdout


def mirrors(path: str, project: Path) -> set[Path]:
    """The tests that mirror a file; none of a file that has none."""
    place = Path(path)
    if place.parts[0] == "conf":
        return {Path("tests/test_conf.py")}
    if place.suffix != ".py":
        return set()
    if place.parts[0] == "tests":
        return {place} if place.name.startswith("test_") else set()
    inner = place.relative_to("src/graftwork") if place.parts[:1] == ("src",) else place
    mirrored = (project / "tests" / inner.parent).glob(f"test_{inner.stem}*.py")
    return {found.relative_to(project) for found in mirrored}


def chosen(paths: Iterable[str], project: Path) -> tuple[list[str], list[str]]:
    """What is run, and what is left to `make test`."""
    found = {test for path in paths for test in mirrors(path, project)}
    left = {test for test in found if any(test.match(pattern) for pattern in WHOLE_RUNS)}
    inside = {test for test in found if any(test.is_relative_to(core) for core in CORE)}
    return [*map(str, sorted(found - left - inside)), *CORE], [*map(str, sorted(left))]


def main() -> None:
    run, left = chosen(changed(PROJECT), PROJECT)
    if left:
        print(f"left to `make test`: {', '.join(left)}", file=sys.stderr)
    print(*run)


if __name__ == "__main__":
    main()
