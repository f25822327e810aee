"""The groups of fields, in the order of the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce._settings import backends, fields

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

GROUPS: tuple[type[BaseSettings], ...] = (
    fields.What,
    fields.HowLong,
    fields.WhoShares,
    fields.WhatIsKept,
    fields.AtTheSameTime,
    backends.Redis,
    backends.S3,
    backends.DiskAndMeaning,
    fields.WhatIsSeen,
)
