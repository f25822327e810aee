"""What the settings offer is what the rooms behind them have."""

from __future__ import annotations

from typing import get_args

from askonce._settings.values import RESERVED, CallTypeName
from askonce.calls.registry import CALL_TYPES, KNOWN


def test_every_call_type_that_settings_know_is_known_and_what_is_not_reserved_has_code() -> None:
    reserved = {row.value for row in RESERVED if row.field == "supported_call_types"}
    assert set(get_args(CallTypeName)) == set(KNOWN)
    assert set(KNOWN) - reserved == set(CALL_TYPES)
