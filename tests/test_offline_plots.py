"""The page with which `dvc plots show` needs no network."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text()
PAGE = (PROJECT / "docs" / "offline_plots.html").read_text()


def test_it_takes_the_plots_and_not_the_scripts_that_dvc_would_load():
    assert "{plot_divs}" in PAGE and "{scripts}" not in PAGE and "//" not in PAGE


def test_it_loads_what_the_readme_has_fetched_from_where_npm_puts_it():
    (fetched,) = re.findall(r"^npm install --no-save (.*)$", README, re.M)
    scripts = re.findall(r'<script src="\.\./node_modules/(.+)/build/(.+)\.min\.js">', PAGE)
    assert scripts == [(name.partition("@")[0],) * 2 for name in fetched.split()]
    assert "/node_modules/" in (PROJECT / ".gitignore").read_text().split()
