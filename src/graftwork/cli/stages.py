"""Commands that are done by a module of the project's pipelines, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from graftwork.config.errors import UserError


def run_module(module: str, arguments: Sequence[str]) -> int:
    """Its exit code.

    Raises:
        UserError: this is no project's folder.
    """
    if not Path(*module.split(".")).with_suffix(".py").is_file():
        raise UserError(f"{Path.cwd()}: no pipelines/ here. Run this in the project's folder.")
    paths = [os.getcwd(), *(path for path in sys.path if path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([sys.executable, "-m", module, *arguments], env=environment).returncode
