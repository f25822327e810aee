"""JSON as values that compare exactly: 1, 1.0 and 1.00 differ; the order of members is nothing."""

from __future__ import annotations

from typing import Any

import jiter


def exactly(data: bytes) -> Any:
    return _comparable(
        jiter.from_json(data, catch_duplicate_keys=True, float_mode="lossless-float")
    )


def _comparable(value: Any) -> Any:
    if isinstance(value, jiter.LosslessFloat):
        return ("literal", str(value))
    if isinstance(value, bool):
        return ("flag", value)
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: _comparable(item) for name, item in value.items()}
    return value
