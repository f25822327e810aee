"""The fields that one backend alone reads. Those of backends not chosen are read by nobody."""

from __future__ import annotations

from pathlib import Path

from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings

from askonce._settings import kinds, lists  # noqa: TC001 (pydantic reads the annotations)


class Redis(BaseSettings):
    """Redis.

    Read where `type` is `redis`, `dual` or `redis-semantic`.
    """

    redis_url: kinds.Secret | None = Field(
        None,
        description="`redis://`, `rediss://` or `unix://`; what it says goes before the single "
        "fields. Falls back on `REDIS_URL`.",
    )
    host: kinds.Text | None = Field(
        None, description="The server's name or address. Falls back on `REDIS_HOST`."
    )
    port: kinds.Port | None = Field(
        None,
        description="The server's port. Falls back on `REDIS_PORT`; a Kubernetes service link "
        "(`tcp://…`) does not count.",
    )
    db: kinds.Natural | None = Field(None, description="The number of the database.")
    username: kinds.Text | None = Field(None, description="The user of Redis's access control.")
    password: kinds.Secret | None = Field(
        None, description="Its password. Falls back on `REDIS_PASSWORD`."
    )
    redis_startup_nodes: lists.Nodes = Field(
        (), description="Nodes by which a Redis Cluster is found."
    )
    sentinel_nodes: lists.Nodes = Field((), description="The Sentinels, where there are some.")
    service_name: kinds.Text | None = Field(
        None, description="The name under which the Sentinels know the primary."
    )
    ssl: kinds.Flag = Field(default=False, description="Speak TLS.")
    ssl_cert_reqs: kinds.CertReqsName = Field(
        "required", description="Whether the server needs a certificate, and a valid one."
    )
    ssl_ca_certs: kinds.Text | None = Field(
        None, description="A file with the authorities that may have signed it."
    )
    ssl_certfile: kinds.Text | None = Field(None, description="A file with our own certificate.")
    ssl_keyfile: kinds.Text | None = Field(None, description="A file with its key.")
    ssl_check_hostname: kinds.Flag = Field(
        default=True, description="The server's certificate must bear its name."
    )
    redis_flush_size: kinds.Count | None = Field(
        None,
        description="Write what `batch_cache_write` is given in batches of this many. Not set: "
        "each at once.",
    )
    redis_credential_provider: kinds.ImportPath | None = Field(
        None,
        description="A function without parameters, or a class, that makes redis-py's "
        "`CredentialProvider`: for the identities of a cloud instead of a password.",
    )
    redis_max_connections: kinds.Count = Field(
        100, description="The most connections that one process opens."
    )
    redis_connect_timeout: kinds.Seconds = Field(
        1.0,
        description="For how long a connection may take to be made. Requests do not wait for "
        "it longer than `backend_timeout`; it is made behind them.",
    )
    redis_retries: kinds.Natural = Field(
        1,
        description="How often a command is sent again, after a moment, where its connection "
        "broke.",
    )
    redis_health_check_interval: kinds.Seconds = Field(
        30.0,
        description="A connection that was idle for longer is tried before it is used. 0: never.",
    )
    redis_protocol: kinds.RedisProtocol = Field(
        3, description="The version of RESP; a server that knows only 2 is spoken to in that."
    )


class S3(BaseSettings):
    """S3.

    Read where `type` is `s3`. What is not set is found as boto3 finds it.
    """

    s3_bucket_name: kinds.Text | None = Field(None, description="The bucket.")
    s3_region_name: kinds.Text | None = Field(None, description="Its region.")
    s3_path: kinds.Text | None = Field(
        None,
        description="Goes before the name of every object. No other cache's path should begin "
        "with it and a slash: a flush of everything takes that one too.",
    )
    s3_endpoint_url: kinds.Text | None = Field(
        None, description="Where a server other than Amazon's is."
    )
    s3_api_version: kinds.Text | None = Field(None, description="The API's version.")
    s3_use_ssl: kinds.Flag = Field(default=True, description="Speak TLS.")
    s3_verify: kinds.Verify | None = Field(
        None, description="Whether, or against which authorities, certificates are checked."
    )
    s3_aws_access_key_id: kinds.Text | None = Field(None, description="The access key's id.")
    s3_aws_secret_access_key: kinds.Secret | None = Field(None, description="The access key.")
    s3_aws_session_token: kinds.Secret | None = Field(
        None, description="The token that temporary access keys come with."
    )
    s3_config: lists.JsonObject | None = Field(
        None, description="Arguments of `botocore.config.Config`."
    )


class DiskAndMeaning(BaseSettings):
    """Disk, and answering by meaning."""

    disk_cache_dir: kinds.Directory = Field(
        Path(".askonce"),
        description="The directory of `disk`; it is made where it does not exist. On a local "
        "file system, not on a network's.",
    )
    disk_max_bytes: kinds.Bytes = Field(
        ByteSize(1024 * 1024 * 1024),
        description="How much the directory may take. What is over goes first, then as "
        "`disk_culling` says.",
    )
    disk_culling: kinds.CullingName = Field(
        "least-recently-stored",
        description="Which answers `disk` gives up where there is no room.",
    )
    similarity_threshold: kinds.Ratio | None = Field(
        None, description="How near in meaning a question must be; 1 is the same."
    )
    qdrant_api_base: kinds.Text | None = Field(None, description="Where Qdrant is, a URL.")
    qdrant_api_key: kinds.Secret | None = Field(None, description="Its API key.")
    qdrant_collection_name: kinds.Text | None = Field(None, description="The collection.")
    qdrant_quantization_config: kinds.QuantizationName | None = Field(
        None, description="How the collection's vectors are shortened."
    )
