"""Several deployments and rotating keys, seen from outside: the gateway between callers and two stand-ins."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.app.conftest import OPENAI_KEY, Aws, Gateway, StandIn, StartGateway
from tests.app.test_failures import MODEL, ask, code, ready, seconds
from tests.servers import running, until

SECOND_KEY = "sk-second-0123456789abcdef"


@pytest.fixture(scope="module")
def _second_process() -> Iterator[StandIn]:
    with running("local.stand_in", "--key", SECOND_KEY) as program:
        yield StandIn(program, f"http://127.0.0.1:{program.said('serving')['port']}")


@pytest.fixture
def second(_second_process: StandIn) -> StandIn:
    _second_process.reset()
    _second_process.control("PUT", "/key", {"key": SECOND_KEY})
    return _second_process


@pytest.fixture
def two(start_gateway: StartGateway, aws: Aws, stand_in: StandIn, second: StandIn) -> Iterator[Gateway]:
    """A gateway with two deployments: the stand-in, and with a three times greater weight the second."""
    assert stand_in.calls()["total"] == 0
    value = [
        {"key": OPENAI_KEY, "name": "first"},
        {"key": SECOND_KEY, "name": "second", "base_url": f"{second.url}/v1", "weight": 3},
    ]
    arn = aws.new_secret(json.dumps(value))
    with start_gateway(GATEWAY_OPENAI_SECRET_ARN=arn, GATEWAY_PING_INTERVAL_S="5") as gateway:
        yield gateway


def lines(gateway: Gateway) -> list[dict[str, Any]]:
    parsed = [json.loads(line) for line in gateway.program.output]
    return [line for line in parsed if line["event"] == "request"]


def test_requests_are_shared_by_weight_and_each_gets_its_own_key(
    two: Gateway, stand_in: StandIn, second: StandIn
) -> None:
    assert {ask(two, stream=bool(number % 2)).status_code for number in range(40)} == {200}
    assert stand_in.calls()["total"] + second.calls()["total"] == 40
    assert second.calls()["total"] > stand_in.calls()["total"] > 0
    until(lambda: len(lines(two)) == 40)
    named = Counter(line["deployment"] for line in lines(two))
    assert named == {"first": stand_in.calls()["total"], "second": second.calls()["total"]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_one_that_fails_is_replaced_at_once_and_then_left_alone(
    two: Gateway, stand_in: StandIn, second: StandIn, status: int, stream: bool
) -> None:
    second.behave(status=status, retry_after_ms=20_000)
    began = time.monotonic()
    assert {ask(two, stream=stream, max_tokens=1).status_code for _ in range(12)} == {200}
    assert seconds(began) < 2.0, "nobody waits when another can take over"
    assert second.calls()["total"] == 1
    assert stand_in.calls()["total"] == 12


def test_one_without_quota_is_replaced_and_its_refusal_is_passed_on_when_it_is_the_last(
    two: Gateway, stand_in: StandIn, second: StandIn
) -> None:
    for one in (stand_in, second):
        one.behave(status=429, retry_after_ms=20_000)
    began = time.monotonic()
    answer = ask(two)
    assert code(answer) == (429, "rate_limit_exceeded")
    assert seconds(began) < 1.0
    assert (stand_in.calls()["total"], second.calls()["total"]) == (1, 1)


def test_one_that_is_gone_is_replaced_at_once(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn
) -> None:
    value = [{"key": OPENAI_KEY}, {"key": SECOND_KEY, "base_url": "http://127.0.0.1:1/v1", "weight": 100}]
    with start_gateway(GATEWAY_OPENAI_SECRET_ARN=aws.new_secret(json.dumps(value))) as gateway:
        began = time.monotonic()
        assert {ask(gateway, max_tokens=1).status_code for _ in range(8)} == {200}
        assert seconds(began) < 2.0
    assert stand_in.calls()["total"] == 8


def test_what_the_first_attempt_was_answered_is_not_said_of_a_second_that_broke_off(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn, second: StandIn
) -> None:
    second.behave(status=500)
    stand_in.behave(cut_after=0)
    value = [
        {"key": OPENAI_KEY},
        {"key": SECOND_KEY, "base_url": f"{second.url}/v1", "weight": 1_000_000},
    ]
    with start_gateway(GATEWAY_OPENAI_SECRET_ARN=aws.new_secret(json.dumps(value))) as gateway:
        answer = ask(gateway)
        assert code(answer) == (502, "upstream_cut")
        line = gateway.program.said("request", request_id=answer.headers["x-request-id"])
        # By this it is settled: nobody knows what the second attempt cost.
        assert (line["upstream_attempts"], line["upstream_status"]) == (2, None)
    assert (second.calls()["total"], stand_in.calls()["total"]) == (1, 1), "it is not asked a third time"


def test_a_key_that_one_deployment_refuses_is_replaced_and_reported(
    two: Gateway, stand_in: StandIn, second: StandIn
) -> None:
    second.control("PUT", "/key", {"key": "sk-other"})
    assert {ask(two).status_code for _ in range(12)} == {200}
    assert stand_in.calls()["total"] == 12
    status, checks = ready(two)
    assert status == 503
    assert checks["openai_key"]["detail"] == "the upstream refuses the key of second"
    two.program.said("upstream_key_refused", deployment="second")


def test_a_rotation_to_a_key_that_does_not_work_interrupts_nothing(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn
) -> None:
    arn = aws.new_secret(OPENAI_KEY)
    # As long as a secret has no value both are read every other second, which saves this test half a minute.
    with start_gateway(
        GATEWAY_OPENAI_SECRET_ARN=arn, GATEWAY_CACHE_SECRET_ARN=aws.new_secret(None)
    ) as gateway:
        assert ask(gateway).status_code == 200
        aws.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="sk-mistyped")

        def noticed() -> bool:
            answer = ask(gateway, max_tokens=1)
            assert answer.status_code == 200
            return any(b"upstream_key_refused" in line for line in gateway.program.output)

        until(noticed, 10.0, "the rotation")
        assert stand_in.last_call()["outcome"] == "answered"
        detail = ready(gateway)[1]["openai_key"]["detail"]
        assert detail.endswith("the keys of before the rotation are in use")
        assert b"sk-mistyped" not in gateway.program.everything()
        # A process that never saw the former key finds it too.
        with start_gateway(GATEWAY_OPENAI_SECRET_ARN=arn) as younger:
            assert {ask(younger, stream=stream).status_code for stream in (False, True)} == {200}
            assert not ready(younger)[1]["openai_key"]["ok"]
        # Mended: the next value works, and the former one is no longer needed.
        aws.client("secretsmanager").put_secret_value(SecretId=arn, SecretString="sk-rotated")
        stand_in.control("PUT", "/key", {"key": "sk-rotated"})
        until(lambda: ask(gateway).status_code == 200 and ready(gateway)[1]["openai_key"]["ok"], 5.0)


def test_the_fastest_deployment_is_asked_and_another_when_it_has_become_slow(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn, second: StandIn
) -> None:
    value = [
        {"key": OPENAI_KEY, "name": "first", "weight": 1_000_000},
        {"key": SECOND_KEY, "name": "second", "base_url": f"{second.url}/v1"},
    ]
    arn = aws.new_secret(json.dumps(value))
    stand_in.behave(delay_ms=150)
    with start_gateway(GATEWAY_OPENAI_SECRET_ARN=arn, GATEWAY_DEPLOYMENT_ROUTING="fastest") as gateway:

        def asked(count: int) -> tuple[int, int]:
            before = stand_in.calls()["total"], second.calls()["total"]
            assert {ask(gateway).status_code for _ in range(count)} == {200}
            return stand_in.calls()["total"] - before[0], second.calls()["total"] - before[1]

        assert asked(2) == (1, 1), "each is tried once, whatever it weighs"
        slow, fast = asked(40)
        assert fast > 3 * slow, "now and then the slow one is tried again"
        stand_in.behave()
        second.behave(delay_ms=150)
        until(lambda: asked(5) == (5, 0), 30.0, "the change of the fastest")


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_stored_or_rests_on_it_is_asked_of_the_first_that_keeps_it(
    two: Gateway, stand_in: StandIn, second: StandIn, stream: bool
) -> None:
    client = two.sdk()

    def respond(**fields: Any) -> str:
        answer: Any = client.responses.create(model=MODEL, input="x", stream=stream, **fields)
        if stream:
            answer = next(event.response for event in answer if event.type == "response.completed")
        return str(answer.id)

    response_id = None
    for _ in range(10):
        response_id = respond(previous_response_id=response_id)
    assert (stand_in.calls()["total"], second.calls()["total"]) == (10, 0)
    for _ in range(10):
        respond(store=False, previous_response_id=response_id)
    assert (stand_in.calls()["total"], second.calls()["total"]) == (20, 0)
    for _ in range(10):
        respond(store=False)
    assert second.calls()["total"] > 0, "what keeps nothing is shared by weight"


def test_one_that_keeps_is_not_replaced_when_it_fails(
    two: Gateway, stand_in: StandIn, second: StandIn
) -> None:
    stand_in.behave(times=1, status=500)
    assert two.sdk().responses.create(model=MODEL, input="x").output_text
    assert stand_in.calls()["total"] == 2, "it is asked again"
    stand_in.behave(status=500)
    with pytest.raises(openai.InternalServerError):
        two.sdk().responses.create(model=MODEL, input="x")
    assert second.calls()["total"] == 0
