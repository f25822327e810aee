"""What objects are called: any key becomes a name that every S3 server takes. Pure.

::

    team%2Fa:0f3c…   ->   <path>/team_252Fa/0f3c….askonce
    bare             ->   <path>/__/bare.askonce

What stands before the first colon becomes a folder; a key without one is in the folder ``__``.
Letters, digits and ``-`` stay; every other byte of the UTF-8 form is written ``_xx``. So no name
holds a dot segment, an empty segment or a control character, and no folder is an object's name,
which a server on a file system could not keep. An empty part is ``_``. A part that is too long
keeps its beginning and ends in a digest: ``beginning__sha256``. Different keys have different
names: an encoding never has two ``_`` on end, so neither special form can be mistaken for one.

Names begin alike where keys do, up to the length that is kept. So a listing finds at least the
keys with a prefix; where it can find others, the key in the object itself decides.
"""

from __future__ import annotations

import string
from hashlib import sha256
from typing import Final, NamedTuple

from askonce.errors import SettingsError

SUFFIX: Final = ".askonce"
"""How every object's name ends: whatever else is in the bucket is not ours."""
LONGEST_PATH: Final = 600
"""Bytes that ``s3_path`` may have; a name has up to 400 more, and S3 allows 1024."""

_DOTS: Final = frozenset({"", ".", ".."})
_KEPT: Final = 128
_DIGEST: Final = "__"
_BARE: Final = "__"
_EMPTY: Final = "_"
_STAYS: Final = (string.ascii_letters + string.digits + "-").encode()
_WRITTEN: Final = [chr(byte) if byte in _STAYS else f"_{byte:02x}" for byte in range(256)]


class Search(NamedTuple):
    """Where keys with a prefix are to be looked for.

    Args:
        beginning: How the names of their objects begin.
        certain: True if every object so named has such a key; else the key in it decides.
    """

    beginning: str
    certain: bool


def checked_path(path: str | None) -> str:
    """Return ``s3_path`` without slashes around it.

    Raises:
        SettingsError: A server could take it for another path, or it is too long.
    """
    bare = (path or "").strip("/")
    if bare and not _DOTS.isdisjoint(bare.split("/")):
        raise SettingsError(f"ASKONCE_S3_PATH: {path!r} has an empty segment, or one of dots")
    if len(bare.encode("utf-8", "surrogatepass")) > LONGEST_PATH:
        raise SettingsError(f"ASKONCE_S3_PATH: longer than {LONGEST_PATH} bytes")
    return bare


class Names:
    """Names of objects below a path.

    Args:
        path: Goes before every name, without slashes around it; may be empty.
    """

    def __init__(self, path: str) -> None:
        self._path = f"{path}/" if path else ""

    def of(self, key: str) -> str:
        """Return the name of a key's object."""
        namespace, colon, rest = key.partition(":")
        folder, leaf = (_part(namespace), rest) if colon else (_BARE, key)
        return f"{self._path}{folder}/{_part(leaf)}{SUFFIX}"

    def searches(self, prefix: str | None) -> list[Search]:
        """Say where all keys are that begin with ``prefix``; None: all keys."""
        if prefix is None:
            return [Search(self._path, certain=True)]
        namespace, colon, rest = prefix.partition(":")
        if colon:
            return [self._search(f"{_part(namespace)}/", rest)]
        return [self._search("", prefix), self._search(f"{_BARE}/", prefix)]

    def _search(self, folder: str, beginning: str) -> Search:
        encoded = _encoded(beginning)
        return Search(f"{self._path}{folder}{encoded[:_KEPT]}", certain=len(encoded) <= _KEPT)


def _encoded(text: str) -> str:
    return "".join([_WRITTEN[byte] for byte in _utf8(text)])


def _part(text: str) -> str:
    encoded = _encoded(text)
    if len(encoded) <= _KEPT:
        return encoded or _EMPTY
    return f"{encoded[:_KEPT]}{_DIGEST}{sha256(_utf8(text)).hexdigest()}"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
