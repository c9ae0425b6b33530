"""boto3 clients for local AWS.

Credentials and endpoint are always explicit, so that nothing here can reach a real account. One attempt per
call: moto answers what it lacks with HTTP 500, which an SDK would otherwise retry.
"""

import functools
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

ACCOUNT_ID = "123456789012"
"""The account that moto plays."""

OPERATOR_KEY = "LOCALOPERATOR"
"""Access key of the stack's operator. Local AWS takes every key that is no role's for the account's root."""

ONE_ATTEMPT = Config(
    retries={"total_max_attempts": 1}, max_pool_connections=32, connect_timeout=5, read_timeout=30
)


@dataclass(frozen=True)
class Credentials:
    """An access key; the session token is None for a long-term key."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


OPERATOR = Credentials(OPERATOR_KEY, OPERATOR_KEY)


@dataclass(frozen=True)
class LocalAws:
    """Where local AWS answers, and who calls it."""

    endpoint_url: str
    region: str
    credentials: Credentials = OPERATOR

    def client(self, service: str) -> Any:
        """A boto3 client of `service`; clients are kept, they are costly to make and safe to share."""
        return _client(self, service)

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Calls an API by its boto3 name and returns the answer. Raises botocore's ClientError."""
        response: dict[str, Any] = getattr(self.client(service), operation)(**parameters)
        return response

    def environment(self) -> dict[str, str]:
        """The variables that send any AWS SDK to local AWS with these credentials."""
        token = self.credentials.session_token
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
        } | ({"AWS_SESSION_TOKEN": token} if token else {})


@functools.lru_cache(maxsize=256)
def _client(aws: LocalAws, service: str) -> Any:
    session = boto3.Session(
        aws_access_key_id=aws.credentials.access_key_id,
        aws_secret_access_key=aws.credentials.secret_access_key,
        aws_session_token=aws.credentials.session_token,
        region_name=aws.region,
    )
    return session.client(service, endpoint_url=aws.endpoint_url, config=ONE_ATTEMPT)  # type: ignore[call-overload]
