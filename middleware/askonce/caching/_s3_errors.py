"""What went wrong with S3, in words: what, with which bucket, and which variable to look at.

The codes are those of Amazon's list of error responses; other servers use the same ones.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from askonce.errors import BackendError, BackendTimeoutError

_RIGHTS: Final = (
    "the key (ASKONCE_S3_AWS_ACCESS_KEY_ID) needs s3:GetObject, s3:PutObject, s3:DeleteObject and "
    "s3:ListBucket on ASKONCE_S3_BUCKET_NAME"
)
_ENDPOINT: Final = "see that ASKONCE_S3_ENDPOINT_URL and ASKONCE_S3_USE_SSL are right"
_SECRET: Final = "set ASKONCE_S3_AWS_SECRET_ACCESS_KEY to the secret of that access key"  # noqa: S105
_KEY_ID: Final = "set ASKONCE_S3_AWS_ACCESS_KEY_ID to a key that this server knows"
_TOKEN: Final = "set a new ASKONCE_S3_AWS_SESSION_TOKEN, with its key and secret"  # noqa: S105
_REGION: Final = "set ASKONCE_S3_REGION_NAME to the bucket's region"
_BUCKET: Final = "make the bucket, or set ASKONCE_S3_BUCKET_NAME to one that exists"
_BUSY: Final = "it is asked again; if this stays, look at the server's own log"
_CREDENTIALS: Final = (
    "set ASKONCE_S3_AWS_ACCESS_KEY_ID and ASKONCE_S3_AWS_SECRET_ACCESS_KEY, or give boto3 "
    "credentials where it looks for them (AWS_ACCESS_KEY_ID, a profile, a role)"
)


class _Words(NamedTuple):
    what: str
    hint: str


_CODES: Final = {
    "NoSuchBucket": _Words("there is no such bucket", _BUCKET),
    "InvalidBucketName": _Words("that is no name of a bucket", _BUCKET),
    "AccessDenied": _Words("access denied", _RIGHTS),
    "AllAccessDisabled": _Words("access denied", _RIGHTS),
    "403": _Words("access denied", _RIGHTS),
    "InvalidAccessKeyId": _Words("there is no such access key", _KEY_ID),
    "SignatureDoesNotMatch": _Words("the secret does not belong to the access key", _SECRET),
    "InvalidToken": _Words("the session token is not valid", _TOKEN),
    "ExpiredToken": _Words("the session token has expired", _TOKEN),
    "TokenRefreshRequired": _Words("the session token has expired", _TOKEN),
    "AuthorizationHeaderMalformed": _Words("the bucket is in another region", _REGION),
    "IllegalLocationConstraintException": _Words("the bucket is in another region", _REGION),
    "IncorrectEndpoint": _Words("the bucket is in another region", _REGION),
    "PermanentRedirect": _Words("the bucket is in another region", _REGION),
    "301": _Words("the bucket is in another region", _REGION),
    "RequestTimeTooSkewed": _Words(
        "this machine's clock and the server's differ too much", "set the clock right"
    ),
    "SlowDown": _Words("the server asks for fewer requests", _BUSY),
    "503": _Words("the server is not available", _BUSY),
    "ServiceUnavailable": _Words("the server is not available", _BUSY),
    "InternalError": _Words("the server failed", _BUSY),
    "500": _Words("the server failed", _BUSY),
}

_REFUSED: Final = _Words(
    "boto3 does not take these settings",
    "see that ASKONCE_S3_ENDPOINT_URL, ASKONCE_S3_REGION_NAME and ASKONCE_S3_CONFIG are right",
)
_SLOW: Final = _Words("no answer in time", _ENDPOINT)
_CLASSES: Final = {
    "ConnectTimeoutError": _SLOW,
    "ReadTimeoutError": _SLOW,
    "EndpointConnectionError": _Words("nobody answers there", _ENDPOINT),
    "ConnectionClosedError": _Words("the connection was closed", _ENDPOINT),
    "ProxyConnectionError": _Words("the proxy does not answer", "see that HTTPS_PROXY is right"),
    "SSLError": _Words(
        "the server's certificate is not trusted, or it speaks no TLS",
        "name the authority's file in ASKONCE_S3_VERIFY, or see that ASKONCE_S3_ENDPOINT_URL is "
        "right",
    ),
    "ResponseStreamingError": _Words("the answer broke off", _ENDPOINT),
    "IncompleteReadError": _Words("the answer broke off", _ENDPOINT),
    "HTTPClientError": _Words("the request did not get through", _ENDPOINT),
    "ValueError": _REFUSED,
    "TypeError": _REFUSED,
    "NoCredentialsError": _Words("no credentials found", _CREDENTIALS),
    "PartialCredentialsError": _Words("half of the credentials is missing", _CREDENTIALS),
    "CredentialRetrievalError": _Words("the credentials could not be fetched", _CREDENTIALS),
    "ProfileNotFound": _Words("there is no such profile", "see that AWS_PROFILE is right"),
    "NoRegionError": _Words("no region is set", "set ASKONCE_S3_REGION_NAME"),
    "InvalidRegionError": _Words("that is no region", "set ASKONCE_S3_REGION_NAME"),
    "ParamValidationError": _Words("that is no name of a bucket", _BUCKET),
    "UnknownServiceError": _Words("there is no such API version", "unset ASKONCE_S3_API_VERSION"),
    "DataNotFoundError": _Words("there is no such API version", "unset ASKONCE_S3_API_VERSION"),
}
_OTHER: Final = "see that the ASKONCE_S3_… variables are right"


def where(bucket: str, endpoint: str | None) -> str:
    """Name the bucket, and its server without any password: ``s3: bucket b at host:9000``."""
    try:
        parts = urlsplit(endpoint or "")
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        host = None
    return f"s3: bucket {bucket!r}" + (f" at {host}" if host else "")


def code_of(error: Exception) -> str | None:
    """Return the code with which the server refused, or None: it was no refusal."""
    response: Any = getattr(error, "response", None)
    if not hasattr(response, "get"):
        return None
    return str(response.get("Error", {}).get("Code", ""))


def failure(place: str, error: Exception) -> BackendError:
    """Say what went wrong.

    Args:
        place: What :func:`where` returned.
        error: What botocore raised. Its own text is not shown, it may hold a URL.
    """
    code = code_of(error)
    if code is not None:
        return refusal(place, code)
    kinds = [kind.__name__ for kind in type(error).__mro__]
    found = next((_CLASSES[kind] for kind in kinds if kind in _CLASSES), None)
    words = found or _Words(kinds[0], _OTHER)
    made = BackendTimeoutError if words is _SLOW else BackendError
    return made(f"{place}: {words.what}. HINT: {words.hint}")


def refusal(place: str, code: str) -> BackendError:
    """Say why the server refused, by its code."""
    words = _CODES.get(code, _Words(f"the server refused with {code}", _OTHER))
    return BackendError(f"{place}: {words.what}. HINT: {words.hint}")
