"""Two entries fed with rubbish: whatever comes, it is taken or refused in words, and in time.

The suite runs seconds of it, `make chaos ARGS="--fuzz 10"` ten minutes of each:
configurations by hypothesis, pictures by atheris where it is installed (`pip install
'graftwork[fuzz]'`), which looks for bytes that reach new lines of Pillow's readers, or else by the
changes below.
"""

from __future__ import annotations

import contextlib
import io
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import fuzzed_pictures
from conftest import CONF, composed
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from attacks.pictures import ODD
from graftwork.config.errors import UserError
from graftwork.experiment import Experiment
from pipelines.overrides import requested

PATIENCE = 20  # seconds of the processor that one input may take
EXTREME = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\x01",
    b"\xff\xd8\xff\xda",
)
SETTINGS = settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """Raises TimeoutError in what takes too long, by the processor's time: others may be busy."""

    def late(*_: object) -> None:
        raise TimeoutError(f"{PATIENCE} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# Pictures


def originals() -> list[bytes]:
    """Small files of every kind that is read, right and wrong ones."""
    return [content for picture in ODD if 0 < len(content := picture.make()) < 10_000]


def changed(content: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """With some bits turned, bytes put in, taken out or made extreme, or the end of another."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 30))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                data[at : at + 4] = chance.choice(EXTREME)
            case 2:
                del data[at : at + chance.randrange(1, 20)]
            case 3:
                data[at:at] = chance.randbytes(chance.randrange(1, 20))
            case 4:
                data[at:at] = data[at : at + chance.randrange(1, 200)] * chance.randrange(1, 50)
            case 5:
                other = chance.choice(others)
                data[at:] = other[chance.randrange(len(other)) :]
    return bytes(data)


def picture_trials(number: int, chance: random.Random) -> list[str]:
    """What escaped of so many changed pictures."""
    known, found = originals(), []
    for _ in range(number):
        content = changed(chance.choice(known), chance, known)
        found += caught(lambda: fuzzed_pictures.take_picture(content), content.hex())  # noqa: B023
    return found


def caught(work: Callable[[], object], shown: str) -> list[str]:
    try:
        with in_time():
            work()
    except Exception as error:
        return [f"{error!r} of {shown[:20_000]}"]
    return []


# Configurations

_words = st.text(st.characters(codec="utf-8"), max_size=12)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _words
    | st.sampled_from(["auto", "", "${", "${seed}", "${oc.env:HOME}", "???", "../..", "\0", "=1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(values: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


PARAMS = composed("model=tiny_cnn", "transfer=from_scratch")
_place = st.sampled_from(sorted(places(PARAMS)))
_options = sorted(
    f"{path.parent.relative_to(CONF)}={path.stem}"
    for path in CONF.glob("*/**/*.yaml") if not path.stem.startswith("_")
)  # fmt: skip
_text = st.one_of(
    _words,
    _values.map(str),
    st.sampled_from(["0", "-1", "1e400", "[1,2]", "{a: 1}", "a,b", "null"]),
)
_override = st.one_of(
    st.sampled_from(_options),
    st.builds(
        "{}{}={}".format,
        st.sampled_from(["", "", "+", "++", "~"]), _place.map(".".join), _text,
    ),
    st.builds("{}={}".format, st.sampled_from(sorted(p.stem for p in CONF.glob("*"))), _words),
    st.builds("~{}".format, _place.map(".".join)),
    _words,
)  # fmt: skip
_arguments = st.lists(_override, min_size=1, max_size=3)


def take_params(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    """Values put anywhere into a configuration that was right."""
    params = composed("model=tiny_cnn", "transfer=from_scratch")
    for (*above, last), value in changes:
        node: Any = params
        for key in above:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node[last] = value
    with contextlib.suppress(UserError), in_time():
        Experiment.from_params(params)


def take_arguments(arguments: list[str], sweep: bool) -> None:
    """A command line of `python -m pipelines.experiment`."""
    quiet = contextlib.redirect_stderr(io.StringIO())
    options = ["-m"] if sweep else []
    with contextlib.suppress(UserError), in_time(), quiet:
        requested(
            [*options, *(a for a in arguments if not a.startswith("-"))], Experiment.from_params
        )


def configuration_trials(number: int, of_lines: int, start: int) -> list[str]:
    """What escaped of so many configurations and command lines; the number of the seed is named."""
    few = settings(SETTINGS, max_examples=number)
    params = seed(start)(few(given(st.lists(st.tuples(_place, _values), min_size=1))(take_params)))
    few = settings(SETTINGS, max_examples=of_lines)
    lines = seed(start)(few(given(_arguments, st.booleans())(take_arguments)))
    found = []
    for trials in (params, lines):
        try:
            trials()
        except Exception as error:
            found.append(f"seed {start}: {error!r}, {getattr(error, '__notes__', '')}")
    return found


# The long form


def fuzz(minutes: float, chance: random.Random) -> Iterator[tuple[str, int, list[str]]]:
    """What was fuzzed, how often, and what escaped."""
    yield "configurations", *configurations_for(60 * minutes, chance)
    if find_spec("atheris"):
        yield by_atheris(60 * minutes, chance.randrange(2**31))
        return
    number, found, end = 0, list[str](), time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        found += picture_trials(1000, chance)
        number += 1000
    yield "pictures", number, found


def configurations_for(seconds: float, chance: random.Random) -> tuple[int, list[str]]:
    number, found, end = 0, list[str](), time.monotonic() + seconds
    for start in count(chance.randrange(2**31)):
        if time.monotonic() > end:
            break
        found += configuration_trials(100, 5, start)
        number += 105
    return number, found


def by_atheris(seconds: float, start: int) -> tuple[str, int, list[str]]:
    """In a process of its own, which libFuzzer ends with a code and the input at a crash."""
    with tempfile.TemporaryDirectory() as place:
        for at, content in enumerate(originals()):
            (Path(place) / str(at)).write_bytes(content)
        limits = (f"-max_total_time={seconds:.0f}", f"-timeout={PATIENCE}", "-rss_limit_mb=4096")
        command = [
            sys.executable,
            fuzzed_pictures.__file__,
            place,
            f"-seed={start}",
            "-max_len=20000",
            *limits,
        ]
        done = subprocess.run(
            [*command, f"-artifact_prefix={place}/"], stderr=subprocess.PIPE, text=True, check=False
        )
        runs = re.search(r"Done (\d+) runs|stat::number_of_executed_units: (\d+)", done.stderr)
        number = int(runs[1] or runs[2]) if runs else 0
        return "pictures, by atheris", number, [done.stderr[-5000:]] if done.returncode else []
