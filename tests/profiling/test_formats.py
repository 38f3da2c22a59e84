"""Whatever the format, the numbers are the same."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from conftest import CONF
from rich.console import Console

from graftwork.profiling import formats, page, tables
from graftwork.profiling.chosen import model_of
from graftwork.profiling.imagenet import Accuracy
from graftwork.profiling.profile import static_profile
from graftwork.profiling.published_figures import Remark
from graftwork.profiling.resources import Resources

MEASURED = {"latency_ms": 1.25, "energy_mj_per_image": None, "energy_source": "RAPL"}


@pytest.fixture(scope="module")
def found() -> list[Resources]:
    def one(word: str, measured: dict | None) -> Resources:
        profile = static_profile(model_of(word, conf=CONF), 1000)
        return Resources(
            profile=profile,
            transfer="lp_ft",
            trainable_parameters=1234,
            batch_size=32,
            precision="bf16",
            training_memory={"parameters": 3 * 2**20, "total": 4 * 2**20},
            accuracy=Accuracy(71.878, None, 224, "a <source>") if measured else None,
            remarks=[Remark("operations", "3 G", "4 G", False, "counted <twice>")],
            measured=measured,
        )

    return [one("tiny_cnn", None), one("resnet18", MEASURED)]


def test_json_holds_everything(found, tmp_path):
    path = tmp_path / "deep" / "profile.json"
    formats.write_json(path, found)
    read = json.loads(path.read_text())
    assert read == json.loads(json.dumps([one.as_dict() for one in found]))
    layers = read[1]["profile"]["layers"]
    assert sum(layer["macs"] for layer in layers) == found[1].profile.macs == 1_814_073_344
    assert read[1]["measured"]["latency_ms"] == 1.25


def test_csv_of_layers(found, tmp_path):
    formats.write_csv(tmp_path / "layers.csv", found, layers=True)
    with (tmp_path / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [(one.profile.model, layer) for one in found for layer in one.profile.layers]
    assert len(rows) == len(expected)
    for row, (model, layer) in zip(rows, expected, strict=True):
        field = row["receptive_field"]
        assert (row["model"], row["layer"], row["kind"]) == (model, layer.name, layer.kind)
        assert tuple(map(int, row["output"].split("x"))) == layer.output
        assert float(row["activation_kib"]) == layer.activation_kib
        assert (int(row["parameters"]), int(row["macs"])) == (layer.parameters, layer.macs)
        assert (int(field) if field else None) == layer.receptive_field


def test_csv_of_models(found, tmp_path):
    formats.write_csv(tmp_path / "models.csv", found, layers=False)
    with (tmp_path / "models.csv").open(newline="") as file:
        tiny, resnet = csv.DictReader(file)
    assert (int(tiny["parameters"]), tiny["imagenet_top1"], tiny["latency_ms"]) == (88_696, "", "")
    assert int(resnet["macs"]) == found[1].profile.macs
    assert float(resnet["activation_mib"]) == found[1].profile.activation_mib
    assert int(resnet["training_total_bytes"]) == 4 * 2**20
    assert (float(resnet["imagenet_top1"]), float(resnet["latency_ms"])) == (71.878, 1.25)


class Page(HTMLParser):
    """Values of `<data>`, and which elements there are."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: list[float] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "data":
            self.values.append(float(dict(attrs)["value"]))


def test_html_holds_the_same_numbers(found, tmp_path):
    page.write_html(tmp_path / "profile.html", found, layers=True)
    parsed = Page((tmp_path / "profile.html").read_text())
    values = parsed.values
    for one in found:
        profile = one.profile
        expected = [
            number
            for rows in (profile.groups, profile.layers)
            for row in rows
            for number in (row.activation_kib, row.parameters, row.macs, row.receptive_field)
            if number is not None
        ]
        start = values.index(expected[0], values.index(profile.parameters) + 1)
        while values[start : start + len(expected)] != expected:
            start = values.index(expected[0], start + 1)  # ValueError: they are not there
    for one in found:
        assert {one.profile.parameters, one.profile.macs, one.trainable_parameters} <= set(values)
    assert 1.25 in values


def test_the_page_needs_nothing_and_runs_nothing(found, tmp_path):
    page.write_html(tmp_path / "profile.html", found, layers=False)
    text = (tmp_path / "profile.html").read_text()
    assert not {"script", "link", "iframe", "img"} & set(Page(text).tags)
    assert "url(" not in text and "counted &lt;twice&gt;" in text and "a &lt;source&gt;" in text
    assert "<details>" not in text  # no layers


def shown(found: list[Resources], width: int, *, layers: bool) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    tables.show(found, layers=layers, console=console)
    console.file.close()
    return console.export_text()


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_cuts_no_number(found, width):
    text = shown(found, width, layers=True).replace("\u202f", " ")
    for words in ("11 689 512", "1 814.1", "1.81 G", "layer4.1.conv2", "2 359 296", "88.7 k"):
        assert words in text, words
    assert "…" not in text
    assert ("BatchNorm2d" in text) == (width > 100)  # the least important column
    assert "published, differs: operations: 3 G; here 4 G (counted <twice>)" in text
    assert "top-1 71.9 % at 224 px, of these weights (a <source>)" in text


def test_groups_instead_of_layers(found):
    text = shown(found, 80, layers=False)
    assert "layer4" in text and "layer4.1" not in text
    assert "latency ms" in text and "1.25" in text and "energy source: RAPL" in text


def test_the_terminal_takes_no_name_for_markup(found):
    odd = "[/us]\x1b[2J"
    profile = replace(found[1].profile, model=f"[net]{odd}")
    remark = replace(found[1].remarks[0], what=f"[what]{odd}")
    one = replace(found[1], profile=profile, transfer=f"[how]{odd}", remarks=[remark])
    text = shown([one], 200, layers=False)
    assert text.count(r"[net][/us]\x1b[2J") == 3  # its groups, totals, measurements
    for words in (r"[how][/us]\x1b[2J", r"[what][/us]\x1b[2J"):
        assert words in text
    assert "\x1b" not in text
