import tarfile
from pathlib import Path

from conftest import composed, draw_photo
from local_server import serving

from graftwork.config.components import build
from graftwork.data.datasets.base import Dataset
from graftwork.storage.files import sha256_of


def test_from_the_web_to_records(tmp_path: Path) -> None:
    for index, label in enumerate(("roses", "daisy", "tulips")):
        draw_photo(tmp_path / "flower_photos" / label / "1.jpg", (200, 90, 90), index)
    (tmp_path / "flower_photos/LICENSE.txt").touch()
    with tarfile.open(tmp_path / "f.tgz", "w:gz") as archive:
        archive.add(tmp_path / "flower_photos", "flower_photos")
    values = composed("dataset=flowers")["dataset"]
    pin = {"size": (tmp_path / "f.tgz").stat().st_size, "sha256": sha256_of(tmp_path / "f.tgz")}
    with serving() as server:
        server.files["/f.tgz"] = (tmp_path / "f.tgz").read_bytes()
        values["source"] |= {"url": f"{server.url}/f.tgz", **pin}
        dataset = build(values, Dataset, "dataset")
        dataset.download(tmp_path / "raw", tmp_path / "downloads")
    records = list(dataset.records(tmp_path / "raw"))
    assert [(r.label, r.split) for r in records] == [
        ("daisy", None),
        ("roses", None),
        ("tulips", None),
    ]
    assert all(r.path.is_file() for r in records)
