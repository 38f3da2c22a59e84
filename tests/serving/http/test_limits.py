from __future__ import annotations

import pytest

from graftwork.config.errors import UserError
from graftwork.serving.http.limits import limits


def test_a_change_changes_one_and_a_wrong_one_is_refused_with_the_nearest_name() -> None:
    assert limits(["body_mib=0.5"]).body_bytes == 2**19
    assert limits(["megapixels=2"]).pixels == 2_000_000
    for change, says in {
        "body_mb=1": "'body_mb' is unknown. Did you mean 'body_mib'",
        "photos=many": "photos",
        "requests=0": "requests: 0 is out of bounds. Legal: > 0",
        "photos": "is no KEY=VALUE",
    }.items():
        with pytest.raises(UserError, match=says):
            limits([change])
