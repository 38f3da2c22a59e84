from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from graftwork.cli import commands as cli
from graftwork.housekeeping.contents import pieces
from graftwork.storage.array_store import ArrayStore

DAY = 24 * 3600
# Since it was last used:
DAYS = {"features": 1, "networks": 40, "downloads": 60, "profiles": 3, "folds": 2}
Run = Callable[..., str]


def aged(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    for file in [path, *path.rglob("*")]:
        os.utime(file, (then, then))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """4000 bytes of features, 3000 of a network, 2000 of a download, 500 of a profile, 300 of
    folds; and a first use, which is no piece."""
    store = tmp_path / "store"
    features = ArrayStore(store / "features" / "key", "float32")
    with features.writing():
        features.append([("a", np.zeros(1000, np.float32))])
    for name, size in (
        *(("networks/key/network.bin", 2900), ("networks/key/network.xml", 100)),
        *(("downloads/abc/photos.zip", 2000), ("profiles/key.json", 500)),
        *(("folds/key.npz", 300), ("downloads/first_use/hub.json", 100)),
    ):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(bytes(size))
    (store / "networks" / "key.lock").touch()
    for kind, days in DAYS.items():
        aged(store / kind, days)
    return store


@pytest.fixture
def run(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("--prune", ...)`: what `graftwork store` prints, of whichever end."""

    def graftwork_store(*arguments: str) -> str:
        monkeypatch.setenv("COLUMNS", "100")
        command = ["graftwork", "store", "--root", str(store.parent), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        assert bool(said.err) == (stop.value.code == 2)
        return said.out + said.err

    return graftwork_store


def kinds(store: Path) -> set[str]:
    return {piece.kind for piece in pieces(store)}


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_the_table_gives_kinds_counts_sizes_and_ages(run: Run, store: Path) -> None:
    lines = {line.split()[0]: line.split()[1:] for line in run().splitlines()[1:]}
    assert lines["networks"] == ["1", "3.0", "kB", "3.0", "kB"]
    assert lines["downloads"] == ["1", "2.0", "kB", "2.0", "kB"]
    assert lines["profiles"] == ["1", "500", "bytes", "500", "bytes"]
    assert lines["folds"] == ["1", "300", "bytes", "300", "bytes"]
    assert lines["features"][0] == "1" and lines["all"][0] == "5"
    (heading,) = [line for line in run().splitlines() if "pieces" in line]
    place = heading.index("longer") + len("longer")
    (networks,) = [line for line in run().splitlines() if line.startswith("networks")]
    assert networks.rstrip().endswith("3.0 kB") and len(networks.rstrip()) == place


def test_without_yes_nothing_goes(run: Run, store: Path) -> None:
    before = files(store)
    said = run("--prune", "--older-than", "1h", "--larger-than", "0B")
    assert "would go" in said and "networks" in said and "Nothing was removed: add --yes" in said
    assert files(store) == before


def test_what_was_not_used_for_so_long_goes(run: Run, store: Path) -> None:
    said = run("--prune", "--older-than", "30d", "--yes")
    assert "2 removed, 5.0 kB." in said
    assert kinds(store) == {"features", "profiles", "folds"}
    assert (
        not list((store / "networks" / "key").glob("*")) and (store / "networks/key.lock").exists()
    )


def test_what_was_read_lately_stays(run: Run, store: Path) -> None:
    file = store / "networks" / "key" / "network.bin"
    os.utime(file, (time.time(), file.stat().st_mtime))
    run("--prune", "--older-than", "30d", "--yes")
    assert kinds(store) == {"features", "profiles", "folds", "networks"}


def test_the_longest_unused_goes_until_the_store_is_small_enough(run: Run, store: Path) -> None:
    whole = sum(piece.size for piece in pieces(store))
    run("--prune", "--larger-than", f"{whole}B", "--yes")
    assert kinds(store) == {*DAYS}
    run("--prune", "--larger-than", f"{whole - 1}B", "--yes")
    assert kinds(store) == {"features", "profiles", "folds", "networks"}
    run("--prune", "--larger-than", f"{whole - 2001}B", "--yes")
    assert kinds(store) == {"features", "profiles", "folds"}


def test_what_was_trusted_once_is_no_piece(run: Run, store: Path) -> None:
    run("--prune", "--larger-than", "0B", "--yes")
    assert kinds(store) == set() and (store / "downloads" / "first_use" / "hub.json").is_file()


def test_a_link_is_not_followed(run: Run, store: Path, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub" / "photo.jpg").write_bytes(bytes(9000))
    aged(outside, 100)
    for place in ("decoded", "features/link", "downloads/link", "networks/key/compiled"):
        (store / place).symlink_to(outside)
    size = sum(piece.size for piece in pieces(store))
    assert size < 9000 + 4000
    run("--prune", "--larger-than", "0B", "--yes")
    assert kinds(store) == set() and (outside / "sub" / "photo.jpg").stat().st_size == 9000
    assert (store / "decoded").is_symlink() and not (store / "networks" / "key").exists()


def test_who_reads_a_shard_keeps_it_and_others_find_it_missing(run: Run, store: Path) -> None:
    reader = ArrayStore(store / "features" / "key", "float32")
    run("--prune", "--larger-than", "0B", "--yes")
    assert reader["a"].shape == (1000,) and not reader["a"].any()
    after = ArrayStore(store / "features" / "key", "float32")
    assert after.missing(["a"]) == ["a"]
    with after.writing():
        after.append([("a", np.ones(1000, np.float32))])
    assert after["a"].all()


def test_a_network_in_the_making_stays(run: Run, store: Path) -> None:
    with FileLock(store / "networks" / "key.lock"):
        said = run("--prune", "--larger-than", "0B", "--yes")
    assert "1 stayed: another process holds them" in said and kinds(store) == {"networks"}


@pytest.mark.parametrize(("days", "stays"), [(0.5, True), (2, False)])
def test_what_may_still_be_written_stays_for_a_day(
    run: Run, store: Path, days: float, stays: bool
) -> None:
    names = ("downloads/partial/abc-photos.zip", "features/key/1.bin.partial", "features/key/2.bin")
    for name in names:
        (store / name).parent.mkdir(exist_ok=True)
        (store / name).touch()
        aged(store / name, days)
    run("--prune", "--larger-than", "0B", "--older-than", "1h", "--yes")
    assert [(store / name).exists() for name in names] == [stays] * 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prune", "--older-than", "30 moons"), "'30 moons' is no duration. Legal: 12h, 30d, 8w"),
        (("--prune", "--older-than", "30"), "--older-than: '30' is no duration. Legal: 12h"),
        (("--prune", "--larger-than", "much"), "--larger-than: 'much' is no size. Legal: 500MB"),
        (("--prune", "--larger-than", "-5GB"), "'-5GB' is no size"),
        (("--prune",), "Of what is whole nothing goes: add --older-than 30d, --larger-than 5GB"),
        (("--older-than", "30d"), "say --prune"),
        (("--unreferenced",), "say --prune"),
        (("--yes",), "say --prune"),
        (("--prune", "--unreferenced"), "no runs are recorded here yet"),
        (("--root", "nowhere"), "nowhere/store: no such folder"),
    ],
)
def test_what_is_wrong_is_refused_with_what_is_legal(
    run: Run, store: Path, arguments: tuple[str, ...], said: str
) -> None:
    before, text = files(store), run(*arguments)
    assert said in text and files(store) == before
    assert not ("is no" in said and "left behind" in text), "refused before anything is told"
