"""Reads the package indexes that pip is configured for, without letting pip build anything."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

import requests

from graftwork.config.errors import UserError
from graftwork.data.sources.downloading import TIMEOUT, download
from graftwork.data.sources.fetching import Pin, without_secrets

DEFAULT_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tgz")


def fetch_sdist(package: str, version: str, target: Path, pin: Pin, remedy: str) -> None:
    """Brings the source distribution with the pinned sha256 to `target`.

    Raises:
        UserError: no configured index lists it.
    """
    pages = [f"{index.rstrip('/')}/{_normal(package)}/" for index in indexes()]
    problems = []
    for page in pages:
        try:
            links = list(_links(page))
        except (requests.RequestException, OSError, ValueError) as error:
            problems.append(f"{without_secrets(page)}: {type(error).__name__}")
            continue
        for link in _fitting(links, package, version, pin):
            _bring(link, target, pin)
            return
        problems.append(f"{without_secrets(page)}: not listed")
    raise UserError(
        f"{package}=={version}: no source distribution. {'; '.join(problems)}. {remedy}"
    )


def indexes() -> list[str]:
    """Addresses of the indexes that `pip download` would ask, in its order."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found: dict[str, str] = {}
    for section in ("global", "download", ":env:"):  # later ones count more, as for pip
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.").lstrip(".")] = str(ast.literal_eval(value))
    return [found.get("index-url", DEFAULT_INDEX), *found.get("extra-index-url", "").split()]


def _links(page: str) -> Iterator[str]:
    """Absolute addresses of the files on a project's page, hash as fragment where it is given."""
    if urlsplit(page).scheme == "file":
        text, base, kind = (_local(page) / "index.html").read_text(), page, "text/html"
    else:
        response = requests.get(page, headers={"Accept": ACCEPT}, timeout=TIMEOUT)
        response.raise_for_status()
        text, base = response.text, response.url
        kind = response.headers.get("Content-Type", "")
    if "json" in kind:
        for file in json.loads(text)["files"]:
            digest = file.get("hashes", {}).get("sha256", "")
            yield f"{urljoin(base, file['url'])}#sha256={digest}"
        return
    parser = _Anchors()
    parser.feed(text)
    yield from (urljoin(base, address) for address in parser.addresses)


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _fitting(links: list[str], package: str, version: str, pin: Pin) -> Iterator[str]:
    """The link with the pinned hash; else one with the right name, to be judged by its bytes."""
    yield from (link for link in links if link.endswith(f"#sha256={pin.sha256}"))
    for link in links:
        name = unquote(urlsplit(link).path).rpartition("/")[2]
        stem = next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), "")
        if _normal(stem) == _normal(f"{package}-{version}"):
            yield link


def _bring(link: str, target: Path, pin: Pin) -> None:
    address = urldefrag(link).url
    if urlsplit(address).scheme == "file":
        shutil.copyfile(_local(address), target)
    else:
        download(address, target, pin.size)


def _local(address: str) -> Path:
    return Path(url2pathname(unquote(urlsplit(address).path)))


def _normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
