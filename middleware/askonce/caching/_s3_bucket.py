"""A bucket: the few requests that a cache makes of S3, and what their answers mean.

Absent, unchanged and refused-by-condition are answers. Everything else that is not success is a
BackendError in words (:mod:`askonce.caching._s3_errors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from askonce.caching._s3_errors import code_of, failure, refusal, where
from askonce.caching._s3_held import Held, HeldObjects
from askonce.caching._s3_objects import HEAD_BYTES, NEVER, read_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BATCH: Final = 1000
"""Names that DeleteObjects takes, and that ListObjectsV2 returns, at once."""

_ABSENT: Final = frozenset({"NoSuchKey", "404"})
_UNCHANGED: Final = frozenset({"304", "NotModified"})
_EMPTY: Final = frozenset({"InvalidRange", "416"})
_CONFLICT: Final = frozenset(
    {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"} | _ABSENT
)
_IGNORANT: Final = frozenset({"NotImplemented", "501"})

_NO_SUCH_ETAG: Final = f'"{"0" * 32}"'


class _Answer(NamedTuple):
    """What the server said: a code that was expected, or all fields of its answer."""

    code: str | None
    fields: dict[str, Any]


class Bucket:
    """A bucket on an open client. Thread-safe.

    Args:
        client: boto3's client, closed by ``close``.
        name: The bucket's name.
        held: What need not be sent again.
    """

    def __init__(self, client: Any, name: str, held: HeldObjects) -> None:
        self._client = client
        self._name = name
        self._held = held
        self._place = where(name, client.meta.endpoint_url)

    def close(self) -> None:
        """Close the client and its connections."""
        self._client.close()

    def get(self, name: str) -> Held | None:
        """Return an object as it is now, or None. What is held is sent only if it changed."""
        held = self._held.get(name)
        condition = {} if held is None else {"IfNoneMatch": held.etag}
        answer = self._ask("get_object", _ABSENT | _UNCHANGED, Key=name, **condition)
        if answer.code in _UNCHANGED:
            return held
        if answer.code is not None:
            self._held.drop(name)
            return None
        return self._hold(name, answer, answer.fields["Body"])

    def get_over(self, name: str) -> tuple[bool, float]:
        """Say whether an object is there, and when it is over, by its first bytes alone.

        What is not ours is never over.
        """
        asked = f"bytes=0-{HEAD_BYTES - 1}"
        answer = self._ask("get_object", _ABSENT | _EMPTY, Key=name, Range=asked)
        if answer.code is not None:
            return answer.code in _EMPTY, NEVER
        over = read_over(answer.fields["Body"])
        return True, NEVER if over is None else over

    def put(self, name: str, body: bytes, headers: dict[str, Any]) -> None:
        """Keep an object in place of what was there."""
        answer = self._ask("put_object", Key=name, Body=body, **headers)
        self._hold(name, answer, body)

    def put_if(self, name: str, body: bytes, headers: dict[str, Any], etag: str | None) -> bool:
        """Keep an object if what is there has this ETag; None: if nothing is there.

        Returns:
            False if something else is there.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        answer = self._ask("put_object", _CONFLICT, Key=name, Body=body, **headers, **condition)
        if answer.code is not None:
            return False
        self._hold(name, answer, body)
        return True

    def delete_if(self, name: str, etag: str) -> None:
        """Delete an object unless it was replaced meanwhile, as far as the server can tell."""
        self._held.drop(name)
        answer = self._ask("delete_object", _CONFLICT | _IGNORANT, Key=name, IfMatch=etag)
        if answer.code in _IGNORANT:
            self.delete([name])

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects, 1000 with a request."""
        for name in names:
            self._held.drop(name)
        for start in range(0, len(names), _BATCH):
            batch = [{"Key": name} for name in names[start : start + _BATCH]]
            answer = self._ask("delete_objects", Delete={"Objects": batch, "Quiet": True})
            for wrong in answer.fields.get("Errors", ()):
                raise refusal(self._place, str(wrong.get("Code")))

    def pages(self, beginning: str) -> Iterator[list[str]]:
        """List the names that begin so, 1000 with a request."""
        more: dict[str, Any] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=beginning, MaxKeys=_BATCH, **more).fields
            yield [str(found["Key"]) for found in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def check_listing(self, beginning: str) -> None:
        """Raise BackendError if names cannot be listed."""
        self._ask("list_objects_v2", Prefix=beginning, MaxKeys=1)

    def writes_on_condition(self, probe: str) -> bool:
        """Try whether the server refuses a write whose condition is not met.

        Args:
            probe: A name that nobody else uses.
        """
        conditions: tuple[dict[str, str], ...] = (
            {"IfNoneMatch": "*"},
            {"IfMatch": _NO_SUCH_ETAG},
        )
        self._ask("put_object", Key=probe, Body=b"")
        refused = [
            self._ask("put_object", _CONFLICT | _IGNORANT, Key=probe, Body=b"", **condition).code
            in _CONFLICT
            for condition in conditions
        ]
        self.delete([probe])
        return all(refused)

    def _hold(self, name: str, answer: _Answer, body: bytes) -> Held:
        held = Held(str(answer.fields["ETag"]), body)
        self._held.put(name, held)
        return held

    def _ask(
        self, operation: str, expected: frozenset[str] = frozenset(), **arguments: Any
    ) -> _Answer:
        """Make a request, and read the whole answer.

        Args:
            operation: The client's method.
            expected: Codes that are answers too.
            **arguments: Of the method.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            fields = getattr(self._client, operation)(Bucket=self._name, **arguments)
            if "Body" in fields:
                fields["Body"] = fields["Body"].read()
        except (BotoCoreError, ClientError) as error:
            code = code_of(error)
            if code is not None and code in expected:
                return _Answer(code, {})
            raise failure(self._place, error) from error
        return _Answer(None, fields)
