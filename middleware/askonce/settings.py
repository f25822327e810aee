"""The settings: one rule, field ``x`` = variable ``ASKONCE_X`` = parameter ``x``.

::

    CacheSettings()                     the environment, .env, secret files and a TOML file decide
    CacheSettings(type="disk", ttl=60)  arguments win over all of them

A wrong value raises :class:`askonce.errors.SettingsError` with a line for each field that is
wrong; nothing starts on half of what the operator meant. An unknown ``ASKONCE_*`` only warns:
it may be meant for another version.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from pydantic import PrivateAttr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from askonce._settings import backends, fields, names, problems, values
from askonce._settings.kinds import RefusedError
from askonce._settings.layers import Origin, PathLike, gather
from askonce.errors import SettingsError

__all__ = ["CacheSettings", "Origin", "UnknownSettingWarning"]

_TTL_FIELD = {
    "local": "default_in_memory_ttl",
    "redis": "default_in_redis_ttl",
    "dual": "default_in_redis_ttl",
    "redis-semantic": "default_in_redis_ttl",
}
# A backend on the network must answer sooner than asking the model again would.
_BACKEND_TIMEOUT = {"disk": 0.25, "redis": 0.05, "dual": 0.05, "redis-semantic": 0.1, "s3": 1.0}


class UnknownSettingWarning(UserWarning):
    """A variable, a secret file or a TOML key looks like a setting and is none."""


class CacheSettings(  # the last base's fields come first
    fields.WhatIsSeen,
    backends.DiskAndMeaning,
    backends.S3,
    backends.Redis,
    fields.AtTheSameTime,
    fields.WhatIsKept,
    fields.WhoShares,
    fields.HowLong,
    fields.What,
):
    """All settings, read and checked once. Frozen.

    Args:
        _env_file: The file with variables to read beside the environment; it need not exist.
            None reads none.
        _secrets_dir: A directory with one file per setting. None: the one that
            ``ASKONCE_SECRETS_DIR`` names, else ``/run/secrets`` if it is there.
        **arguments: Fields; they win over every other place. None for a field that cannot be
            None counts as not given.

    Raises:
        SettingsError: Something is wrong. The message has one line per field.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=names.PREFIX, extra="forbid", frozen=True, enable_decoding=False
    )

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict[str, Origin])

    def __init__(
        self,
        *,
        _env_file: PathLike | None = ".env",
        _secrets_dir: PathLike | None = None,
        **arguments: Any,
    ) -> None:
        found = gather(type(self), arguments, _env_file, _secrets_dir)
        for line in found.unknown:
            warnings.warn(line, UnknownSettingWarning, stacklevel=2)
        wrong = list(found.problems)
        try:
            super().__init__(**{field: value.raw for field, value in found.values.items()})
        except ValidationError as error:
            wrong += problems.lines(error, found)
        if wrong:
            raise SettingsError(problems.message(wrong))
        self._origins = {field: value.origin for field, value in found.values.items()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what ``__init__`` gathered, and nothing else: it knows where each value is from."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("*")
    @classmethod
    def _is_here(cls, value: Any, info: ValidationInfo) -> Any:
        refusal = values.refusal(str(info.field_name), value)
        if refusal:
            raise values.AbsentError(refusal)
        return value

    @field_validator("routes")
    @classmethod
    def _routes_are_supported(cls, routes: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        supported = info.data.get("supported_call_types", routes.values())
        for path, call_type in routes.items():
            if call_type not in supported:
                raise RefusedError(f"{path} is {call_type}, which supported_call_types leaves out")
        return routes

    def origin_of(self, field: str) -> Origin:
        """Say where the value of ``field`` came from."""
        return self._origins.get(field, Origin("default"))

    @property
    def effective_ttl(self) -> float:
        """Seconds for which an answer is fresh if the client says nothing of it.

        ``ttl`` if it was set, else the default of the backend's type if that was, else the
        default of ``ttl``; never more than ``max_ttl``.
        """
        ttl = self.ttl
        if "ttl" not in self.model_fields_set:
            default: float | None = getattr(self, _TTL_FIELD.get(self.type, "ttl"))
            ttl = ttl if default is None else default
        return ttl if self.max_ttl is None else min(ttl, self.max_ttl)

    @property
    def effective_backend_timeout(self) -> float | None:
        """Seconds that the backend may take for an answer, or None: there is no waiting."""
        if self.backend_timeout is not None:
            return self.backend_timeout
        return _BACKEND_TIMEOUT.get(self.type)
