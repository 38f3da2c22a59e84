import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graftwork.data.sources import clients
from graftwork.data.sources.clients import fetch_with

WAIT = (
    f"import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep({60})"
)


def test_the_client_works_in_a_folder_that_is_removed(tmp_path: Path) -> None:
    script = "import pathlib; pathlib.Path('a.whl').write_text('x'); pathlib.Path('rest').touch()"
    fetch_with([sys.executable, "-c", script], "it", "*.whl", tmp_path / "target", 1, "")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_an_interrupted_client_does_not_live_on(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from graftwork.data.sources.clients import fetch_with\n"
        f"fetch_with([sys.executable, '-c', {WAIT!r}], 'it', '*', Path(sys.argv[1]), 1, '')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "t")]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(command, stderr=subprocess.PIPE, env=paths)
    deadline = time.monotonic() + 20
    while not (found := [p for p in tmp_path.glob("client-*/pid") if p.read_text()]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int(found[0].read_text())
    parent.send_signal(signal.SIGINT)
    parent.communicate(timeout=20)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("log", "word"),
    [
        ("npm error code E404\nnpm error A complete log of this run: x", "npm: code E404"),
        ("Collecting a\nERROR: first\nERROR: first\nERROR: second.", "ERROR: first ERROR: second"),
        ("something\nelse", "else"),
        ("", "no message"),
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError("
            "'<pip.HTTPSConnection object at 0x7f>: Name or service not known')': /simple/x/\n"
            "ERROR: no version (from versions: none)\nERROR: No matching distribution",
            "Name or service not known ERROR: No matching distribution",
        ),
    ],
)
def test_the_last_word_says_why(log: str, word: str) -> None:
    assert clients._last_word(log) == word
