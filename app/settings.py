"""The container's environment, read once into one frozen object.

`infra/service` renders these variables into the task definition; a contract test holds the two together.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.models.alias import parse_aliases
from app.prices import parse_prices

PREFIX = "GATEWAY_"
DeploymentRouting = Literal["weight", "fastest"]
_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:\S+")
_TOPIC_ARN = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$"


class SettingsError(Exception):
    """The environment does not describe a gateway; the text lists every problem, one a line."""


def _loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _cache_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise ValueError("holds credentials; they belong in the secret of GATEWAY_CACHE_SECRET_ARN")
    if not parts.hostname or parts.port is None or parts.path.strip("/"):
        raise ValueError("is not an address with host and port")
    if parts.scheme != "rediss" and not (parts.scheme == "redis" and _loopback(parts.hostname)):
        raise ValueError("must use TLS (rediss://); redis:// is for this machine's loopback only")
    return value


def upstream_url(value: str) -> str:
    """The base URL of an OpenAI-compatible API as it is used. Raises ValueError that says what it is not."""
    parts = urlsplit(value)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("is not a plain https address")
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(parts.hostname)):
        raise ValueError("must use https; http is for this machine's loopback only")
    return value.rstrip("/")


def _model_aliases(value: str) -> str:
    parse_aliases(value)
    return value


def _queue_url(value: str) -> str:
    upstream_url(value)
    if not urlsplit(value).path.strip("/"):
        raise ValueError("names no queue")
    return value


def _model_prices(value: str) -> str:
    parse_prices(value)
    return value


def _secret_arn(value: str) -> str:
    if not _SECRET_ARN.fullmatch(value):
        raise ValueError("is not the ARN of a Secrets Manager secret")
    return value


SecretArn = Annotated[str, AfterValidator(_secret_arn)]
Text = Annotated[str, Field(min_length=1)]


class Settings(BaseSettings):
    """What a running gateway is told by its surroundings. Durations are seconds.

    Each field's description is the remedy that a refused value is answered with. The gateway itself does not
    read `bucket_name`: it tells who looks at a task where new knowledge goes, as the demo does.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="ignore")

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = Field(
        description="the AWS region of the table and the secrets, for example us-east-1"
    )
    service: Text = Field(description="whom metrics are of, the stack's name such as openai-gateway-prod")
    host: Text = Field(description="the address to listen on, 0.0.0.0 in a container")
    port: int = Field(ge=0, le=65535, description="the TCP port to listen on, for example 8080")
    table_name: Text = Field(description="the name of the DynamoDB table, the stack output table_name")
    bucket_name: Text = Field(description="the name of the data bucket, the stack output bucket_name")
    cache_url: Annotated[str, AfterValidator(_cache_url)] = Field(
        description="the cache's address without credentials, for example rediss://HOST:6379"
    )
    cache_secret_arn: SecretArn = Field(description="the stack output cache_secret_arn")
    openai_secret_arn: SecretArn = Field(description="the stack output openai_secret_arn")
    alert_topic_arn: Annotated[str, Field(pattern=_TOPIC_ARN)] = Field(
        description="the SNS topic that spend alerts go to, the stack output alert_topic_arn"
    )
    knowledge_queue_url: Annotated[str, AfterValidator(_queue_url)] = Field(
        description="the SQS queue that tells of new knowledge, the stack output knowledge_queue_url"
    )
    openai_base_url: Annotated[str, AfterValidator(upstream_url)] = Field(
        description="the API to forward to, for example https://api.openai.com/v1"
    )
    key_pepper: SecretStr = Field(
        min_length=32,
        description="the value of the secret in the stack output pepper_secret_arn, 32 characters or more",
    )
    requests_per_minute: int = Field(
        ge=1, le=10_000_000, description="the limit of a key that has none of its own, for example 600"
    )
    deployment_routing: DeploymentRouting = Field(
        description="weight or fastest: which of several deployments is asked"
    )
    model_aliases: Annotated[str, AfterValidator(_model_aliases)] = Field(
        description='names that stand for models, for example {} or {"fast": "gpt-5-mini", "best": ["gpt-5", '
        '"gpt-4.1"]}'
    )
    model_prices: Annotated[str, AfterValidator(_model_prices)] = Field(
        description="prices of models that are yours or not published, for example {} or "
        '{"my-model": {"input": "0.15", "output": "0.60"}}'
    )
    response_cache_ttl_s: int = Field(
        ge=0, description="how long a repeatable answer is kept, for example 3600; 0 turns the cache off"
    )
    batch_prompts: int = Field(
        ge=1, le=2048, description="the most prompts of one joined request, for example 20; 1 joins nothing"
    )
    longest_stream_s: float = Field(gt=0, description="the longest answer, for example 300")
    keep_alive_s: float = Field(
        gt=0, description="how long an idle connection stays open, above the balancer's, for example 320"
    )
    stop_timeout_s: float = Field(gt=0, le=120, description="from SIGTERM to SIGKILL, 120 at most")
    ping_interval_s: float = Field(
        gt=0, description="the silence after which a stream gets an SSE comment, for example 15"
    )


def variable(field: str) -> str:
    """The environment variable that a field is read from."""
    return PREFIX + field.upper()


def environment_variables() -> frozenset[str]:
    """Every variable that the gateway reads; all are required."""
    return frozenset(variable(field) for field in Settings.model_fields)


def load() -> Settings:
    """The settings of this process. Raises SettingsError with every problem at once."""
    try:
        return Settings()
    except ValidationError as invalid:
        problems = [_problem(error) for error in invalid.errors(include_url=False, include_context=False)]
        raise SettingsError("\n".join(problems)) from None


def _problem(error: Mapping[str, Any]) -> str:
    field = str(error["loc"][0])
    remedy = Settings.model_fields[field].description
    if error["type"] == "missing":
        return f"{variable(field)} is not set. Set it to {remedy}."
    reason = str(error["msg"]).removeprefix("Value error, ")
    reason = reason[0].lower() + reason[1:]
    # An address can hold a password by mistake, and the pepper is a secret: neither is repeated.
    shown = "" if field in {"key_pepper", "cache_url", "openai_base_url"} else f"={str(error['input'])!r}"
    return f"{variable(field)}{shown}: {reason}. Set it to {remedy}."
