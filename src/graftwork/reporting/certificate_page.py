"""What the certificate of an export says, in sentences and on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from graftwork.process.terminal import visible
from graftwork.reporting.numbers import THIN, number, percent
from graftwork.reporting.pages import render

Certificate = Mapping[str, Any]


def page(certificate: Certificate, classes: Sequence[str], name: str) -> Markup:
    """Of what `graftwork export` writes beside the file.

    Args:
        name: of the model.
    """
    title = f"{certificate['format']} in {certificate['precision']}"
    return render(
        "certificate.html.jinja", title=title, name=visible(name), told=certificate,
        sentences=list(sentences(certificate)), classes=[visible(one) for one in classes],
    )  # fmt: skip


def sentences(told: Certificate) -> Iterator[str]:
    """How true the export is, and what it costs."""
    photos, same, seen = told["photos"], told["network"], told["evaluation"]
    yield (
        f"Of the same pixels, {photos} {told['tried_on']}: probabilities differ by "
        f"{same['largest_difference']:.2g} at most, {_flips(same, photos)}."
    )
    if told["takes"] == "photos":
        yield (
            f"Photos are resized and cropped inside: {told['levels']:.2g} of 255 levels at most "
            "from what evaluation sees (mean over a photo). Against evaluation probabilities "
            f"differ by {seen['largest_difference']:.2g} at most, {_flips(seen, photos)}."
        )
    if "accuracy" in told:
        yield _accuracy(told["accuracy"])
    yield _speed(told["speed"])


def _flips(apart: Mapping[str, Any], photos: int) -> str:
    return f"{apart['flips']} of {photos} answers are others"


def _accuracy(told: Mapping[str, Any]) -> str:
    gain = told["difference"]
    low, high = (f"{100 * gain[end]:+.1f}" for end in ("low", "high"))
    return (
        f"Top-1 accuracy on {told['photos']} photos: {percent(told['export'])}, the model's own "
        f"{percent(told['model'])}; difference {100 * gain['value']:+.1f} points ({low} to {high})."
    )


def _speed(told: Mapping[str, Any]) -> str:
    own, other = (told[name] for name in ("export", "model"))
    busy = "" if own["machine"] == other["machine"] == "undisturbed" else " (on a busy machine)"
    return (
        f"{number(own['latency_ms'])}{THIN}ms a picture of {told['pixels']} px and "
        f"{number(own['images_per_s'])} images/s; the model in torch {number(other['latency_ms'])}"
        f"{THIN}ms and {number(other['images_per_s'])} images/s{busy}."
    )
