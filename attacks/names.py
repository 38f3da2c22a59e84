"""Folders of photos in which names, links and what is no file are hostile."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from attacks.attack import COMMAND

NAMES = (
    "line\nbreak.jpg",
    "carriage\rreturn.jpg",
    "tab\there.jpg",
    "\x1b[2J\x1b]0;owned\x07.jpg",
    "\x9b31m.jpg",
    "<img src=x onerror=alert(1)>.jpg",
    '"><script>alert(1)<!-- .jpg',
    "[red]markup[us].jpg",
    "-rf.jpg",
    "--root.jpg",
    "=cmd|' -C calc'!A0.jpg",
    "+1+2.jpg",
    "@SUM(A1).jpg",
    f"$({COMMAND}).jpg",
    f"`{COMMAND}`.jpg",
    f";{COMMAND};.jpg",
    "a|b&c>d.jpg",
    "{0.__class__}%s%n.jpg",
    "${oc.env:HOME}.jpg",
    "a..jpg..jpg",
    " .jpg",
    "\u202egpj.exe.jpg",
    "caf\u00e9 \u732b \U0001f9d1\u200d\U0001f33e.jpg",
    "e\u0301.jpg",  # an accent of its own
    "CON.jpg",
    "x" * 251 + ".jpg",
    "\u00e9" * 125 + ".jpeg",  # 255 bytes
)
CLASSES = ("<b>red", "=1+1", "\x1b[2Jblue", "-x")


def device(path: Path) -> None:
    """That of zeros, where the user may make one."""
    try:
        os.mknod(path, 0o20600, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)
        try:  # the path of a socket has room for a hundred bytes
            server.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


NO_FILES: dict[str, Callable[[Path], None]] = {  # by name; none may be opened
    "pipe.jpg": lambda path: os.mkfifo(path),
    "socket.jpg": listening,
    "device.jpg": device,
    "zeros.jpg": lambda path: path.symlink_to("/dev/zero"),
    "random.jpg": lambda path: path.symlink_to("/dev/random"),
    "terminal.jpg": lambda path: path.symlink_to("/dev/tty"),
}
LINKS: dict[str, Callable[[Path], None]] = {  # that lead nowhere
    "itself.jpg": lambda path: path.symlink_to(path),
    "nowhere.jpg": lambda path: path.symlink_to("/nowhere/at/all.jpg"),
    "one.jpg": lambda path: path.symlink_to(path.with_name("other.jpg")),
    "other.jpg": lambda path: path.symlink_to(path.with_name("one.jpg")),
}
LOOPS: dict[str, Callable[[Path], None]] = {  # folders that contain themselves
    "up": lambda path: path.symlink_to(path.parent, target_is_directory=True),
    "root": lambda path: path.symlink_to(path.parents[1], target_is_directory=True),
}


def photos(root: Path, picture: Callable[[int], bytes]) -> int:
    """Photos under all of these names in classes with hostile names; how many.

    Args:
        picture: the bytes of a photo by number.
    """
    for number, name in enumerate(NAMES):
        folder = root / CLASSES[number % len(CLASSES)]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(number))
    for kinds in (NO_FILES, LINKS, LOOPS):
        for name, make in kinds.items():
            make(root / CLASSES[0] / name)
    return len(NAMES)
