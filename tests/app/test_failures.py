"""The failure table: what becomes of a request when a part is slow, gone or wrong, and how soon."""

import json
import signal
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.app.conftest import OPENAI_KEY, Aws, Gateway, StandIn, StartGateway
from tests.app.leaks import secrets_in
from tests.servers import Relay, ValkeyServer, until

MODEL = "gpt-4o-mini"


@pytest.fixture(autouse=True)
def _fresh(stand_in: StandIn) -> None:
    """Every test begins with a stand-in that behaves."""


def ask(gateway: Gateway, key: str | None = None, **options: Any) -> httpx2.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": f"{uuid.uuid4()}"}], **options}
    answer = httpx2.post(
        f"{gateway.url}/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {key or gateway.key}"},
        timeout=15,
    )
    assert secrets_in(answer.content + repr(answer.headers.multi_items()).encode()) == []
    return answer


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def seconds(began: float) -> float:
    return time.monotonic() - began


def ready(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    answer = httpx2.get(f"{gateway.url}/readyz", timeout=10)
    return answer.status_code, answer.json()["checks"]


def assert_process_is_healthy(gateway: Gateway) -> None:
    assert httpx2.get(f"{gateway.url}/healthz").status_code == 200


@pytest.fixture
def cache_of_its_own(aws: Aws) -> Iterator[tuple[ValkeyServer, Relay, str]]:
    """A Valkey behind a relay, and the secret with its user."""
    server = ValkeyServer(password="own-password")
    relay = Relay(server.port)
    secret = aws.new_secret(json.dumps({"username": server.username, "password": server.password}))
    yield server, relay, secret
    relay.close()
    server.stop()


@pytest.fixture
def cached_gateway(
    start_gateway: StartGateway, cache_of_its_own: tuple[ValkeyServer, Relay, str]
) -> Iterator[tuple[Gateway, ValkeyServer, Relay]]:
    server, relay, secret = cache_of_its_own
    with start_gateway(
        GATEWAY_CACHE_URL=f"redis://127.0.0.1:{relay.port}", GATEWAY_CACHE_SECRET_ARN=secret
    ) as gateway:
        yield gateway, server, relay


@pytest.mark.parametrize("failure", ["stall", "refuse"])
def test_cache_slow_or_gone_requests_go_on_without_it(
    cached_gateway: tuple[Gateway, ValkeyServer, Relay], failure: str
) -> None:
    gateway, _, relay = cached_gateway
    assert ask(gateway, temperature=0).headers["x-cache"] == "miss"
    getattr(relay, failure)()
    began = time.monotonic()
    answer = ask(gateway, temperature=0)
    # The command's time bound, once; from then on nobody waits.
    assert seconds(began) < 1.0
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "bypass")
    began = time.monotonic()
    answers = [ask(gateway, temperature=0) for _ in range(5)]
    assert [answer.headers["x-cache"] for answer in answers] == ["bypass"] * 5
    assert seconds(began) < 1.0
    status, checks = ready(gateway)
    assert (status, checks["cache"]["ok"], checks["table"]["ok"]) == (503, False, True)
    assert_process_is_healthy(gateway)
    relay.restore()
    until(lambda: ask(gateway, temperature=0).headers["x-cache"] == "miss", 6.0, "the cache's return")
    until(lambda: ready(gateway)[0] == 200, 6.0, "readiness")


def test_cache_gone_the_limit_still_holds_in_each_process(
    cached_gateway: tuple[Gateway, ValkeyServer, Relay], aws: Aws
) -> None:
    gateway, server, _ = cached_gateway
    key = aws.new_key(requests_per_minute=3)
    server.stop()
    answers = [ask(gateway, key) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert int(answers[-1].headers["retry-after-ms"]) > 0
    line = gateway.program.said("request", request_id=answers[0].headers["x-request-id"])
    assert line["limiter"] == "local"


def test_cache_restarted_without_its_scripts_the_limit_is_shared_again(
    cached_gateway: tuple[Gateway, ValkeyServer, Relay],
) -> None:
    gateway, server, _ = cached_gateway
    assert ask(gateway).status_code == 200
    server.stop()
    server.start()

    def limiter() -> Any:
        request_id = ask(gateway).headers["x-request-id"]
        return gateway.program.said("request", request_id=request_id)["limiter"]

    until(lambda: limiter() == "valkey", 6.0, "the shared limit")


def test_cache_password_rotated_the_new_one_is_read_when_the_old_is_refused(
    cached_gateway: tuple[Gateway, ValkeyServer, Relay], aws: Aws
) -> None:
    gateway, server, _ = cached_gateway
    secrets = aws.client("secretsmanager")
    arn = secrets.list_secrets(MaxResults=100)["SecretList"][-1]["ARN"]
    assert json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])["password"] == "own-password"
    secrets.put_secret_value(
        SecretId=arn, SecretString=json.dumps({"username": "gateway", "password": "rotated-password"})
    )
    server.stop()
    server.password = "rotated-password"
    server.start()
    until(lambda: ask(gateway, temperature=0).headers["x-cache"] == "miss", 10.0, "the new password")
    assert b"rotated-password" not in gateway.program.everything()


def test_cache_gone_at_the_start_does_not_stop_the_start(start_gateway: StartGateway) -> None:
    with start_gateway(GATEWAY_CACHE_URL="redis://127.0.0.1:1") as gateway:
        assert ask(gateway).status_code == 200


@pytest.fixture
def tabled_gateway(start_gateway: StartGateway, aws: Aws) -> Iterator[tuple[Gateway, Relay]]:
    """A gateway whose way to DynamoDB is a relay."""
    relay = Relay(int(aws.endpoint_url.rsplit(":", 1)[1]))
    with start_gateway(AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{relay.port}") as gateway:
        yield gateway, relay
    relay.close()


def test_table_slow_an_unknown_key_is_told_to_wait_within_the_bound(
    tabled_gateway: tuple[Gateway, Relay],
) -> None:
    gateway, relay = tabled_gateway
    relay.stall()
    began = time.monotonic()
    assert code(ask(gateway)) == (503, "key_store_unavailable")
    assert seconds(began) < 3.0
    assert_process_is_healthy(gateway)


def test_table_gone_known_keys_go_on_and_unknown_ones_are_told_to_wait(
    tabled_gateway: tuple[Gateway, Relay], aws: Aws
) -> None:
    gateway, relay = tabled_gateway
    assert ask(gateway).status_code == 200
    unknown = aws.new_key()
    relay.refuse()
    began = time.monotonic()
    answer = ask(gateway, unknown)
    assert seconds(began) < 3.0
    assert code(answer) == (503, "key_store_unavailable")
    assert answer.headers["retry-after"] == "1"
    # Until the known key's record is no longer fresh, and the table is really asked again.
    gateway.program.said("table_unavailable")
    until(lambda: _outage_noticed(gateway), 10.0, "the record's age")
    assert ask(gateway).status_code == 200
    status, checks = ready(gateway)
    assert (status, checks["table"]["ok"]) == (503, False)
    assert_process_is_healthy(gateway)
    relay.restore()
    until(lambda: ask(gateway, unknown).status_code == 200, 6.0, "the table's return")


def _outage_noticed(gateway: Gateway) -> bool:
    assert ask(gateway).status_code == 200
    return sum(b"table_unavailable" in line for line in gateway.program.output) >= 2


def test_secrets_manager_gone_the_last_good_key_is_kept(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn
) -> None:
    relay = Relay(int(aws.endpoint_url.rsplit(":", 1)[1]))
    with start_gateway(AWS_ENDPOINT_URL_SECRETS_MANAGER=f"http://127.0.0.1:{relay.port}") as gateway:
        assert ask(gateway).status_code == 200
        relay.refuse()
        assert ask(gateway).status_code == 200
        stand_in.control("PUT", "/key", {"key": "sk-other"})
        refused = ask(gateway)
        assert code(refused) == (503, "upstream_key_refused")
        assert refused.headers["x-should-retry"] == "false"
        assert "infra.seed" in refused.json()["error"]["message"]
        assert "refuses the key" in ready(gateway)[1]["openai_key"]["detail"]
        until(
            lambda: code(ask(gateway)) and "last good value" in ready(gateway)[1]["openai_key"]["detail"],
            5.0,
            "the check",
        )
        assert OPENAI_KEY.encode() not in gateway.program.everything()
    relay.close()


@pytest.mark.parametrize("failure", ["stall", "refuse"])
def test_secrets_manager_slow_or_gone_at_the_start_does_not_stop_the_start(
    start_gateway: StartGateway, aws: Aws, failure: str
) -> None:
    relay = Relay(int(aws.endpoint_url.rsplit(":", 1)[1]))
    getattr(relay, failure)()
    began = time.monotonic()
    with start_gateway(AWS_ENDPOINT_URL_SECRETS_MANAGER=f"http://127.0.0.1:{relay.port}") as gateway:
        assert seconds(began) < 12.0
        began = time.monotonic()
        assert code(ask(gateway)) == (503, "upstream_key_missing")
        assert seconds(began) < 1.0
        assert_process_is_healthy(gateway)
        relay.restore()
        until(lambda: ask(gateway).status_code == 200, 10.0, "the key")
    relay.close()


def test_openai_key_rotated_the_new_one_is_used_without_a_restart(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn
) -> None:
    arn = aws.new_secret(f"{OPENAI_KEY}\n")
    with start_gateway(GATEWAY_OPENAI_SECRET_ARN=arn) as gateway:
        assert ask(gateway).status_code == 200
        aws.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="sk-rotated")
        stand_in.control("PUT", "/key", {"key": "sk-rotated"})
        until(lambda: ask(gateway).status_code == 200, 5.0, "the new key")
        assert ask(gateway, stream=True).status_code == 200


def test_openai_key_missing_is_named_with_its_remedy_and_used_once_it_is_there(
    start_gateway: StartGateway, aws: Aws
) -> None:
    arn = aws.new_secret(None)
    with start_gateway(GATEWAY_OPENAI_SECRET_ARN=arn) as gateway:
        for stream in (False, True):
            answer = ask(gateway, stream=stream)
            assert code(answer) == (503, "upstream_key_missing")
            assert "infra.seed" in answer.json()["error"]["message"]
        status, checks = ready(gateway)
        assert (status, checks["openai_key"]["ok"]) == (503, False)
        assert "it has no value yet" in checks["openai_key"]["detail"]
        assert_process_is_healthy(gateway)
        aws.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=OPENAI_KEY)
        until(lambda: ask(gateway).status_code == 200, 10.0, "the seeded key")


def test_a_frozen_cache_is_left_within_its_time_bound(
    cached_gateway: tuple[Gateway, ValkeyServer, Relay],
) -> None:
    gateway, server, _ = cached_gateway
    assert ask(gateway, seed=1).headers["x-cache"] == "miss"
    server.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    assert ask(gateway, seed=1).headers["x-cache"] == "bypass"
    assert seconds(began) < 1.0
    server.send_signal(signal.SIGCONT)
    until(lambda: ask(gateway, seed=1).headers["x-cache"] == "miss", 6.0)
