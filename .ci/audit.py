"""`make audit`: known advisories about the releases in constraints.txt, by pip-audit.

A mirror may have packages and no advisories: one package is asked for first, and where nothing is
known even of that, the rest is not asked. At most once a day, and never longer than LIMIT. Exit
code 1 where there is an advisory, 0 where there is none or nobody to ask.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LIMIT = 60  # s, for all packages
DAY = 24 * 60 * 60  # s


def pip_audit(requirements: Path, *more: str, limit: float = LIMIT) -> subprocess.CompletedProcess:
    """Raises subprocess.TimeoutExpired."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps"]
    command += ["--disable-pip", "--progress-spinner", "off", "--timeout", "5", *more]
    return subprocess.run(command, cwd=PROJECT, timeout=limit, check=False, capture_output=True)


def why_not() -> str:
    """What stands in the way; empty: nothing."""
    if importlib.util.find_spec("pip_audit") is None:
        return "pip-audit is not installed; `make setup` brings it"
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder) / "one.txt"
        one.write_text(f"pip=={version('pip')}\n", encoding="utf-8")
        try:
            answer = json.loads(pip_audit(one, "--format", "json", limit=15).stdout)
        except (ValueError, subprocess.TimeoutExpired):
            answer = {}
    known = [found for found in answer.get("dependencies", []) if "vulns" in found]
    return "" if known else "no advisories can be reached from here"


def main(stamp: Path) -> int:
    if stamp.is_file() and time.time() < stamp.stat().st_mtime + DAY:
        return 0
    if reason := why_not():
        print(f"audit: left out: {reason}.")
        return 0
    try:
        found = pip_audit(PROJECT / "constraints.txt")
    except subprocess.TimeoutExpired:
        print(f"audit: left out: no answer within {LIMIT} s.")
        return 0
    print((found.stdout + found.stderr).decode(errors="replace"), end="")
    if found.returncode == 0:
        stamp.touch()
    return found.returncode


if __name__ == "__main__":
    raise SystemExit(main(PROJECT / ".venv" / ".audited"))
