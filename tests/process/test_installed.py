from __future__ import annotations

from importlib.metadata import version

from graftwork.process.installed import release, releases


def test_what_is_installed_is_told_and_what_is_missing_too() -> None:
    found = releases("numpy", "no-such-package-here")
    assert found == {"numpy": version("numpy"), "no-such-package-here": None}
    assert release("numpy") == version("numpy")
