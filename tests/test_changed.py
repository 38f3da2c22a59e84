from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from changed import CORE, PROJECT, WHOLE_RUNS, changed, chosen, mirrors
from conftest import pytest_collection_modifyitems


def test_what_mirrors_a_file_is_run_and_whole_runs_are_left() -> None:
    assert mirrors("src/graftwork/storage/shards.py", PROJECT) == {
        Path("tests/storage/test_shards.py")
    }
    assert mirrors("conf/model/vgg11.yaml", PROJECT) == {Path("tests/test_conf.py")}
    assert not mirrors("README.md", PROJECT) and not mirrors("tests/conftest.py", PROJECT)
    run, left = chosen(
        ["pipelines/params.py", "pipelines/experiment.py", "tests/storage/test_shards.py"], PROJECT
    )
    assert run == ["tests/pipelines/test_params.py", *CORE]
    assert left and all("test_experiment" in name for name in left)


@pytest.mark.parametrize("name", [*CORE, *WHOLE_RUNS])
def test_what_is_named_is_there(name: str) -> None:
    assert list(PROJECT.glob(name))


def test_a_branch_counts_from_main_and_main_from_the_commit_before(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=x", "-c", "user.email=x@x")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    def commit(name: str) -> None:
        (tmp_path / name).write_text(name)
        git("add", name)
        git("commit", "-qm", name)

    git("init", "-q", "-b", "main")
    commit("a.py")
    assert changed(tmp_path) == set()
    commit("b.py")
    assert changed(tmp_path) == {"b.py"}
    git("checkout", "-qb", "branch")
    commit("c.py")
    commit("d.py")
    (tmp_path / "e.py").write_text("")
    (tmp_path / "a.py").write_text("other")
    (tmp_path / "d.py").unlink()
    assert changed(tmp_path) == {"a.py", "c.py", "e.py"}


def test_whole_runs_begin_first() -> None:
    names = ("tests/config/test_a.py", "tests/test_dvc.py", "tests/zoo/test_b.py")
    items = [SimpleNamespace(path=PROJECT / name) for name in names]
    pytest_collection_modifyitems(items)  # type: ignore[arg-type]
    assert [item.path.name for item in items] == ["test_dvc.py", "test_a.py", "test_b.py"]
