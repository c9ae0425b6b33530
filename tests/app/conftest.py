"""The gateway as a process among real parts: Valkey, moto's DynamoDB and Secrets Manager, the stand-in."""

import contextlib
import functools
import json
import secrets
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import boto3
import openai
import pytest

from app.admin.issue import issue
from app.valkey import Valkey
from tests.app.leaks import secrets_in
from tests.servers import READY_WITHIN_S, Program, ValkeyServer, running, until
from tests.table import create_table

REGION = "us-east-1"
TABLE = "gateway-table"
PEPPER = "pepper-" + "p" * 40
OPENAI_KEY = "sk-upstream-0123456789abcdef"
ORGANIZATION = "org-first"
PROJECT = "proj_first"


@functools.cache
def _client(service: str, endpoint_url: str) -> Any:
    """Kept, because boto3 takes a tenth of a second to make one."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@dataclass
class Aws:
    """Local AWS with the gateway's table and secrets."""

    endpoint_url: str
    openai_secret_arn: str
    cache_secret_arn: str

    def client(self, service: str) -> Any:
        return _client(service, self.endpoint_url)

    def new_key(self, *, project_id: str = PROJECT, requests_per_minute: int | None = None) -> str:
        return issue(
            self.client("dynamodb"),
            TABLE,
            PEPPER,
            organization_id=ORGANIZATION,
            project_id=project_id,
            project_name="First",
            key_name="test",
            requests_per_minute=requests_per_minute,
        )

    def new_secret(self, value: str | None) -> str:
        client = self.client("secretsmanager")
        name = f"secret-{len(client.list_secrets(MaxResults=100)['SecretList'])}"
        given = {} if value is None else {"SecretString": value}
        arn: str = client.create_secret(Name=name, **given)["ARN"]
        return arn

    def new_queue(self, **attributes: str) -> str:
        name = f"queue-{secrets.token_hex(4)}"
        url: str = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url


@dataclass
class StandIn:
    """The OpenAI stand-in and its control endpoints."""

    program: Program
    url: str

    def calls(self) -> dict[str, Any]:
        report: dict[str, Any] = self.control("GET", "/calls")
        return report

    def last_call(self) -> dict[str, Any]:
        call: dict[str, Any] = self.calls()["last"][-1]
        return call

    def behave(self, times: int | None = None, **behaviour: Any) -> None:
        self.control("PUT", "/behaviour", {"behaviour": behaviour, "times": times})

    def reset(self) -> None:
        self.control("DELETE", "/calls")
        self.control("DELETE", "/behaviour")
        self.control("PUT", "/key", {"key": OPENAI_KEY})

    def control(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 (loopback)
            f"{self.url}/stand-in{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return json.loads(answer.read())


@dataclass
class Gateway:
    """A gateway that serves at `url` (without /v1)."""

    program: Program
    url: str
    port: int
    key: str = field(repr=False)
    knowledge_queue_url: str

    def sdk(self, key: str | None = None, **options: Any) -> openai.OpenAI:
        """The official SDK, which retries nothing unless told to."""
        options.setdefault("max_retries", 0)
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, **options)

    def async_sdk(self, key: str | None = None, **options: Any) -> openai.AsyncOpenAI:
        options.setdefault("max_retries", 0)
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, **options)


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    server = ValkeyServer("first-password")
    yield server
    server.stop()


def prepare(endpoint_url: str, valkey: ValkeyServer) -> Aws:
    """Makes the gateway's table and secrets."""
    local = Aws(endpoint_url, "", "")
    create_table(local.client("dynamodb"), TABLE)
    local.openai_secret_arn = local.new_secret(OPENAI_KEY)
    local.cache_secret_arn = local.new_secret(
        json.dumps({"username": valkey.username, "password": valkey.password})
    )
    return local


@pytest.fixture(scope="session")
def aws(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A process of its own: in this one it would take turns with whatever waits for it."""
    ready_file = tmp_path_factory.mktemp("aws") / "port"
    with running("local.aws.server", str(ready_file)):
        port = until(lambda: ready_file.exists() and ready_file.read_text(), READY_WITHIN_S, "local AWS")
        yield prepare(f"http://127.0.0.1:{port}", valkey)


@pytest.fixture(scope="session")
def _stand_in_process() -> Iterator[StandIn]:
    with running("local.stand_in", "--key", OPENAI_KEY) as program:
        port = program.said("serving")["port"]
        yield StandIn(program, f"http://127.0.0.1:{port}")


@pytest.fixture
def stand_in(_stand_in_process: StandIn) -> StandIn:
    """The stand-in with nothing counted and nothing asked for."""
    _stand_in_process.reset()
    return _stand_in_process


def environment(aws: Aws, valkey_port: int, openai_base_url: str, knowledge_queue_url: str) -> dict[str, str]:
    """What a container of the gateway is given."""
    return {
        "GATEWAY_REGION": REGION,
        "GATEWAY_SERVICE": "gateway-test",
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": "0",
        "GATEWAY_TABLE_NAME": TABLE,
        "GATEWAY_BUCKET_NAME": "gateway-bucket",
        "GATEWAY_CACHE_URL": f"redis://127.0.0.1:{valkey_port}",
        "GATEWAY_CACHE_SECRET_ARN": aws.cache_secret_arn,
        "GATEWAY_OPENAI_SECRET_ARN": aws.openai_secret_arn,
        "GATEWAY_ALERT_TOPIC_ARN": f"arn:aws:sns:{REGION}:123456789012:alerts",
        "GATEWAY_KNOWLEDGE_QUEUE_URL": knowledge_queue_url,
        "GATEWAY_OPENAI_BASE_URL": openai_base_url,
        "GATEWAY_KEY_PEPPER": PEPPER,
        "GATEWAY_REQUESTS_PER_MINUTE": "1000000",
        "GATEWAY_DEPLOYMENT_ROUTING": "weight",
        "GATEWAY_MODEL_ALIASES": "{}",
        "GATEWAY_MODEL_PRICES": "{}",
        "GATEWAY_RESPONSE_CACHE_TTL_S": "3600",
        "GATEWAY_BATCH_PROMPTS": "20",
        "GATEWAY_LONGEST_STREAM_S": "30",
        "GATEWAY_KEEP_ALIVE_S": "50",
        "GATEWAY_STOP_TIMEOUT_S": "4",
        "GATEWAY_PING_INTERVAL_S": "0.2",
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


async def open_valkey(server: ValkeyServer) -> Valkey:
    """The gateway's client of a server, to be closed by whoever asked for it."""

    async def credentials(_refused: bool) -> tuple[str, str]:
        return server.username, server.password

    client = Valkey(f"redis://127.0.0.1:{server.port}", credentials)
    await client.open()
    return client


StartGateway = Callable[..., AbstractContextManager[Gateway]]


@pytest.fixture(scope="session")
def start_gateway(aws: Aws, valkey: ValkeyServer, _stand_in_process: StandIn) -> StartGateway:
    """Starts a gateway of its own; named arguments replace variables of its environment.

    Whatever it writes in its life is searched for secrets at its end. Its queue is its own as well: one that
    is killed may yet be handed a message, which another would wait for.
    """

    @contextlib.contextmanager
    def start(**variables: str) -> Iterator[Gateway]:
        queue_url = variables.get("GATEWAY_KNOWLEDGE_QUEUE_URL") or aws.new_queue()
        given = environment(aws, valkey.port, f"{_stand_in_process.url}/v1", queue_url)
        # As in the container, whose file system is read-only.
        with running("app", environment={**given, **variables}, writes_files=False) as program:
            port = program.said("serving")["port"]
            yield Gateway(program, f"http://127.0.0.1:{port}", port, aws.new_key(), queue_url)
        assert secrets_in(program.everything()) == []

    return start


@pytest.fixture(scope="session")
def gateway(start_gateway: StartGateway) -> Iterator[Gateway]:
    """The gateway that tests share; those that harm it or its surroundings start their own."""
    with start_gateway() as shared:
        yield shared
