"""`make audit`: known advisories about the releases in constraints.txt, by pip-audit.

Only where PyPI itself answers: a mirror has packages, and no advisories. Asked at most once a day,
and never longer than LIMIT. Exit code 1 where there is one, 0 where there is none or nobody to ask.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import requests

PROJECT = Path(__file__).parents[1]
ASKED = "https://pypi.org/pypi/pip/json"
LIMIT = 60  # s
DAY = 24 * 60 * 60  # s


def why_not(url: str = ASKED) -> str:
    """What stands in the way; empty: nothing."""
    if importlib.util.find_spec("pip_audit") is None:
        return "pip-audit is not installed; `make setup` brings it"
    try:
        answer = requests.get(url, timeout=2)
        known = answer.ok and "vulnerabilities" in answer.json()
    except (requests.RequestException, ValueError):
        known = False
    return "" if known else "no advisories can be reached from here"


def main(stamp: Path) -> int:
    if stamp.is_file() and time.time() < stamp.stat().st_mtime + DAY:
        return 0
    if reason := why_not():
        print(f"audit: left out: {reason}.")
        return 0
    command = [sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps"]
    command += ["--disable-pip", "--progress-spinner", "off", "--timeout", "5"]
    try:
        code = subprocess.run(command, cwd=PROJECT, timeout=LIMIT, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"audit: left out: no answer within {LIMIT} s.")
        return 0
    if code == 0:
        stamp.touch()
    return code


if __name__ == "__main__":
    raise SystemExit(main(PROJECT / ".venv" / ".audited"))
