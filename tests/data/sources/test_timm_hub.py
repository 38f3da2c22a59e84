import hashlib
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from graftwork.config.errors import UserError
from graftwork.data.sources.first_use import UnpinnedWarning
from graftwork.data.sources.timm_hub import TimmHub

DATA = b"safetensors"
SHA = hashlib.sha256(DATA).hexdigest()


class Hub:
    """Stands in for the hub's client: one file in a cache."""

    def __init__(self, folder: Path) -> None:
        self.blob = folder / "blob"
        self.blob.write_bytes(DATA)
        self.link = folder / "model.safetensors"
        self.link.symlink_to(self.blob)
        self.asked: list[tuple[Any, ...]] = []

    def __call__(self, repository: str, file: str, revision: str) -> str:
        self.asked.append((repository, file, revision))
        return str(self.link)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(tmp_path)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    return hub


def source(sha256: str | None = SHA, size: int | None = len(DATA)) -> TimmHub:
    return TimmHub("timm/resnet", "abc123", "model.safetensors", size, sha256)


def test_a_pinned_file_is_fetched_once(hub: Hub, tmp_path: Path) -> None:
    path = source().fetch(tmp_path / "d")
    assert path.read_bytes() == DATA and path.name == "model.safetensors"
    assert not path.is_symlink()
    assert source().fetch(tmp_path / "d") == path
    assert hub.asked == [("timm/resnet", "model.safetensors", "abc123")]


def test_a_wrong_hash_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{SHA} arrived, {'0' * 64} is pinned"):
        source("0" * 64).fetch(tmp_path / "d")


def test_without_a_hash_the_first_use_is_trusted_and_said(hub: Hub, tmp_path: Path) -> None:
    with pytest.warns(UnpinnedWarning, match=SHA):
        path = source(None).fetch(tmp_path / "d")
    assert source(None).fetch(tmp_path / "d") == path  # no second warning: it would be an error
    assert len(hub.asked) == 1


def test_after_the_first_use_another_file_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.warns(UnpinnedWarning):
        path = source(None).fetch(tmp_path / "d")
    path.unlink()
    hub.blob.write_bytes(b"SAFETENSORS")
    with pytest.raises(UserError, match=f"arrived, {SHA} is pinned"):
        source(None).fetch(tmp_path / "d")


def test_a_published_size_holds_also_without_a_hash(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="11 bytes arrived, 12 are pinned"):
        source(None, 12).fetch(tmp_path / "d")


def test_offline_ends_in_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("cannot find the requested files.\nmore")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(UserError, match=r"timm/resnet@abc123.*could not be fetched.*HTTPS_PROXY"):
        source().fetch(tmp_path)


def test_fingerprint_is_known_without_fetching() -> None:
    assert source().fingerprint == SHA
    assert source(None).fingerprint == "hub:timm/resnet@abc123/model.safetensors"


def test_a_repository_has_an_owner() -> None:
    with pytest.raises(UserError, match="owner/name"):
        TimmHub("resnet", "main", "f", None, None)
