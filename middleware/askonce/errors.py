"""Every error that askonce raises on purpose, under one root.

::

    AskonceError
    ├── SettingsError (ValueError)         a setting is wrong: start-up stops, one line per field
    ├── MissingExtraError (ImportError)    a driver is not installed: names the extra to install
    ├── AlreadyWrappedError                CacheMiddleware around CacheMiddleware
    ├── EntryError (ValueError)            bytes that are not an entry of ours
    └── BackendError                       a backend did not do what it was asked to do
        └── BackendTimeoutError (TimeoutError)   ... within its time

A request never sees any of these: while one is served, a failing backend is a miss.
"""


class AskonceError(Exception):
    """Root of every error that askonce raises on purpose."""


class SettingsError(AskonceError, ValueError):
    """A setting is wrong. The message has one readable line per field."""


class MissingExtraError(AskonceError, ImportError):
    """A driver is not installed.

    Args:
        package: The distribution that is missing, for example ``diskcache``.
        extra: The extra of askonce that installs it, for example ``disk``.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed. HINT: run  pip install 'askonce[{extra}]'", name=package
        )
        self.extra = extra


class AlreadyWrappedError(AskonceError):
    """The app is wrapped in CacheMiddleware twice: remove one of the two."""


class EntryError(AskonceError, ValueError):
    """These bytes are not an entry that this version wrote; treat them as a miss."""


class BackendError(AskonceError):
    """A backend did not do what it was asked to do. The message says which and why."""


class BackendTimeoutError(BackendError, TimeoutError):
    """A backend did not answer within ``backend_timeout`` seconds."""
