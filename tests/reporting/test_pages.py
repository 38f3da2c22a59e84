from __future__ import annotations

from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from jinja2 import UndefinedError

from graftwork.reporting.pages import environment


def test_values_are_escaped_and_gaps_noticed() -> None:
    template = environment().from_string("{{ name }}")
    assert template.render(name="<script>") == "&lt;script&gt;"
    with pytest.raises(UndefinedError):
        template.render()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("heading", ["h1", "h2", "h3"])
def test_a_path_in_a_heading_is_no_wider_than_a_telephone(heading: str, tmp_path: Path) -> None:
    """A name of a run may hold the path of a folder, in which no line breaks by itself."""
    style = environment().get_template("report.css.jinja").render()
    narrow = '<!doctype html><meta name="viewport" content="width=device-width">'
    text = f"<{heading}>{'/photos_of_a_holiday' * 9}</{heading}>"
    (tmp_path / "page.html").write_text(f"{narrow}<style>{style}</style>{text}")
    with Browser(tmp_path / "profile") as browser:
        browser.resize(390, 800)
        browser.open((tmp_path / "page.html").as_uri())
        browser.wait_for(f"!!document.querySelector('{heading}')")
        assert browser.run("document.documentElement.scrollWidth") <= 390
