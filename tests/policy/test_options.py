"""The operator's word: what holds if nothing was set."""

from __future__ import annotations

import pytest

from askonce.policy.options import Options


def test_defaults_are_those_of_the_settings():
    assert Options() == Options(
        mode="default_on",
        ttl=3600.0,
        max_ttl=None,
        stale_while_revalidate=0.0,
        stale_if_error=0.0,
        cacheable_statuses=frozenset({200}),
        respect_response_cache_control="auto",
        ignored_set_cookies=frozenset({"__cf_bm", "_cfuvid", "__cflb"}),
        share_between_callers=False,
        max_response_bytes=8_388_608,
    )


def test_options_do_not_change():
    with pytest.raises(AttributeError):
        Options().ttl = 0.0
