"""Redis behind Sentinels: they know which server is the primary now.

Every new connection asks them first. After a fail-over old connections end by themselves: they
break with the server that died, or the server that was demoted closes them, or refuses a write,
which counts as broken here. So the next connection leads to the new primary.
"""

# redis-py's connections, which are extended here, are not typed.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as BrokenError
from redis.exceptions import ReadOnlyError, RedisError

from askonce.caching import _redis_pool as pools
from askonce.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LED", "LED_ASYNC", "Sentinels"]

_ANY: Any = object  # what is mixed into redis-py's own classes, whose parts it calls
_LOGIN: Final = ("username", "password", "credential_provider")
_NO_PRIMARY: Final = "no Sentinel knows a primary"
_DEMOTED: Final = "the primary was demoted"


class Sentinels:
    """Sentinels, and the name under which they know the primary.

    Args:
        kind: ``tcp`` or ``tls``: how they are spoken to.
        service: The name.
        nodes: Where they listen.
        options: Arguments of the connections to the primary. Sentinels have logins of their own.
        login: Their user and its password, if they ask for any.

    Raises:
        SettingsError: There is no name.
    """

    def __init__(
        self,
        kind: str,
        service: str | None,
        nodes: Sequence[Any],
        options: Mapping[str, Any],
        login: tuple[str | None, str | None] = (None, None),
    ) -> None:
        if not service:
            raise SettingsError(
                "ASKONCE_SERVICE_NAME: not given, and ASKONCE_SENTINEL_NODES needs it"
            )
        self._kind = kind
        self._service = service
        self._nodes = [(str(host), int(port)) for host, port in nodes]
        common = {name: it for name, it in options.items() if name not in (*_LOGIN, "db")}
        self._options = {
            **common,
            "username": login[0],
            "password": login[1],
            "socket_timeout": common.get("socket_connect_timeout"),
        }

    @property
    def where(self) -> str:
        """What messages call the primary."""
        listed = ", ".join(f"{host}:{port}" for host, port in self._nodes)
        return f"{self._service!r} by the Sentinels at {listed}"

    def primary(self) -> tuple[str, int]:
        """Ask one after the other for the primary's host and port.

        Raises:
            RedisError: None of them knows.
        """
        for node in tuple(self._nodes):
            connection = pools.BLOCKING[self._kind](**self._to(node))
            try:
                connection.send_command(*self._question)
                answer = connection.read_response()
            except (RedisError, OSError):
                continue
            finally:
                connection.disconnect()
            if answer:
                return self._known(node, answer)
        raise BrokenError(_NO_PRIMARY)

    async def aprimary(self) -> tuple[str, int]:
        """Ask for the primary's host and port; see :meth:`primary`."""
        for node in tuple(self._nodes):
            connection = pools.NONBLOCKING[self._kind](**self._to(node))
            try:
                await connection.send_command(*self._question)
                answer = await connection.read_response()
            except (RedisError, OSError):
                continue
            finally:
                await connection.disconnect(nowait=True)
            if answer:
                return self._known(node, answer)
        raise BrokenError(_NO_PRIMARY)

    @property
    def _question(self) -> tuple[str, ...]:
        return ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)

    def _to(self, node: tuple[str, int]) -> dict[str, Any]:
        return {**self._options, "host": node[0], "port": node[1]}

    def _known(self, node: tuple[str, int], answer: Sequence[bytes]) -> tuple[str, int]:
        """Ask whoever knew first the next time, too: one that is gone costs time."""
        self._nodes = [node, *(other for other in self._nodes if other != node)]
        return answer[0].decode(), int(answer[1])


class _Led(_ANY):  # type: ignore[misc]
    """A synchronous connection to whoever is the primary."""

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:
        super().__init__(**options)
        self._sentinels = sentinels

    def _connect(self) -> Any:
        self.host, self.port = self._sentinels.primary()
        return super()._connect()

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read an answer; one that only a replica gives ends the connection."""
        try:
            return super().read_response(*args, **options)
        except ReadOnlyError as error:
            self.disconnect()
            raise BrokenError(_DEMOTED) from error


class _AsyncLed(_ANY):  # type: ignore[misc]
    """An asynchronous connection to whoever is the primary."""

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:
        super().__init__(**options)
        self._sentinels = sentinels

    async def _connect(self) -> None:
        self.host, self.port = await self._sentinels.aprimary()
        await super()._connect()

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read an answer; one that only a replica gives ends the connection."""
        try:
            return await super().read_response(*args, **options)
        except ReadOnlyError as error:
            await self.disconnect(nowait=True)
            raise BrokenError(_DEMOTED) from error


def _mixed(mixin: type[Any], kinds: Mapping[str, type[Any]]) -> dict[str, type[Any]]:
    return {
        kind: type(f"Led{kind.upper()}", (mixin, kinds[kind]), {"__doc__": mixin.__doc__})
        for kind in ("tcp", "tls")
    }


LED: Final = _mixed(_Led, pools.BLOCKING)
LED_ASYNC: Final = _mixed(_AsyncLed, pools.NONBLOCKING)
