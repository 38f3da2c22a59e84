from __future__ import annotations

import csv
import dataclasses

import pytest
from conftest import CONF

from graftwork.models.timm_model import is_registered
from graftwork.profiling import imagenet
from graftwork.profiling.chosen import model_of


@pytest.mark.parametrize(
    ("word", "top1", "top5", "source"),
    [
        ("mobilenetv2", 71.878, 90.286, "torchvision"),
        ("alexnet", 56.522, 79.066, "torchvision"),
        ("resnet50", 81.214, 95.102, "timm's results-imagenet.csv"),
        ("efficientnet_lite0", 75.1, None, "TensorFlow's EfficientNet-lite README"),
    ],
)
def test_scores_belong_to_the_file_of_weights(word, top1, top5, source):
    found = imagenet.accuracy_of(model_of(word, conf=CONF))
    assert found is not None
    assert (found.top1, found.top5, found.source) == (top1, top5, source)


def test_a_name_of_timm_is_known_by_its_tag():
    model = model_of("mnasnet_100", conf=CONF)
    assert imagenet.accuracy_of(model) is None  # whose weights?
    found = imagenet.accuracy_of(model, "mnasnet_100.rmsp_in1k")
    assert found is not None and found.top1 == 74.65


def test_without_weights_there_is_no_score():
    model = dataclasses.replace(model_of("mobilenetv2", conf=CONF), weights=None)
    assert imagenet.accuracy_of(model, "mobilenetv2_100.ra_in1k") is None


def test_the_table_is_sound():
    with imagenet.TABLE.open() as file:
        rows = list(csv.DictReader(file))
    names = [row["weights"] for row in rows]
    assert len(set(names)) == len(names)
    for row in rows:
        assert row["source"] and 50 < float(row["top1"]) < 91
        assert not row["top5"] or float(row["top1"]) < float(row["top5"]) < 99.5
        assert row["weights"].endswith(".pth") or is_registered(row["weights"].partition(".")[0])
