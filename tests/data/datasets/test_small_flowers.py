import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from published_file import of_file

from graftwork.config.errors import UserError

TABLE = "file,label\n0001.png,0\n0002.png,9\n0003.png,6\n"


def archive(path: Path, table: str | None = TABLE, photos: int = 3) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for number in range(1, photos + 1):
            out = io.BytesIO()
            Image.new("RGBA", (8, 8), (200, 20 * number, 90, 255)).save(out, "PNG")
            zipped.writestr(f"flower_images/{number:04d}.png", out.getvalue())
        if table is not None:
            zipped.writestr("flower_images/flower_labels.csv", table)
    return path


def test_numbers_become_names(tmp_path: Path) -> None:
    dataset = of_file("small_flowers", archive(tmp_path / "f.zip"))
    dataset.download(tmp_path / "raw", tmp_path / "downloads")
    records = list(dataset.records(tmp_path / "raw"))
    assert [(r.label, r.split) for r in records] == [
        ("phlox", None),
        ("columbine", None),
        ("viola", None),
    ]
    assert all(r.path.is_file() for r in records)
    assert dataset.splits.test_fraction == 0.34  # it brings none


@pytest.mark.parametrize(
    ("table", "photos", "message"),
    [
        (None, 3, "'flower_labels.csv' is missing"),
        (TABLE, 4, "'0004.png' is in flower_labels.csv or in the archive, not both"),
        (TABLE, 2, "'0003.png' is in"),
        (TABLE.replace(",9", ",10"), 3, "label '10' .* Legal: 0 to 9"),
        (TABLE.replace(",9", ","), 3, "label ''"),
        (TABLE.replace("label", "kind"), 3, "no column 'label'"),
        (TABLE.replace("0001", "../../0001"), 3, "'../../0001.png' is no file of the archive"),
    ],
)
def test_what_is_not_as_published_leaves_nothing(
    table: str | None, photos: int, message: str, tmp_path: Path
) -> None:
    file = archive(tmp_path / "f.zip", table, photos)
    with pytest.raises(UserError, match=message):
        of_file("small_flowers", file).download(tmp_path / "raw", tmp_path / "downloads")
    assert not (tmp_path / "raw").exists()
