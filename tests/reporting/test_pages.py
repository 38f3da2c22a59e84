from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from graftwork.reporting.pages import environment


def test_values_are_escaped_and_gaps_noticed() -> None:
    template = environment().from_string("{{ name }}")
    assert template.render(name="<script>") == "&lt;script&gt;"
    with pytest.raises(UndefinedError):
        template.render()
