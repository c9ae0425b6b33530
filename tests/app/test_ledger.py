"""Usage reaches the table once and whole, whatever is lost on the way: a replica, a memory, the table."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from app.admission.charge import ESTIMATED_TOKENS_PER_S
from app.limits import Limits
from app.usage import Usage
from tests.app.accounts import MODEL, PRICES, Account, body, post, post_all, reserved_for, statuses
from tests.app.conftest import Aws, Gateway, StandIn, StartGateway
from tests.servers import Relay, ValkeyServer, until


def by_text(stand_in: StandIn) -> dict[str, dict[str, Any]]:
    """The stand-in's calls by the question they asked."""
    return {json.loads(call["body"])["messages"][0]["content"]: call for call in stand_in.calls()["last"]}


def cost(call: dict[str, Any]) -> int:
    price = PRICES.price(MODEL)
    assert price is not None
    return price.cost(Usage(call["prompt_tokens"], call["completion_tokens"], call["total_tokens"]))


def equal(record: dict[str, Any], call: dict[str, Any]) -> bool:
    return (record["prompt_tokens"], record["completion_tokens"], record["micro_usd"]) == (
        call["prompt_tokens"],
        call["completion_tokens"],
        cost(call),
    )


@pytest.fixture
def other_valkey() -> Iterator[ValkeyServer]:
    """One that a test may stop; it has the password of the shared one, so the same secret opens it."""
    server = ValkeyServer("first-password")
    yield server
    server.stop()


async def test_killed_in_the_middle_of_50_streams(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    stand_in.behave(chunk_delay_ms=100)
    account = Account(aws, Limits(spend_limit_micro_usd=10**9, concurrent_requests=200))
    ids: dict[str, str] = {}
    texts: dict[str, str] = {}

    async def stream(client: aiohttp.ClientSession, url: str, text: str, begun: asyncio.Semaphore) -> None:
        async with client.post(
            f"{url}/v1/chat/completions",
            data=body(text, stream=True, max_tokens=25),
            headers={"authorization": f"Bearer {account.key}"},
        ) as answer:
            ids[text] = answer.headers["x-request-id"]
            assert answer.status == 200
            received = b""
            async for chunk in answer.content.iter_any():
                received += chunk
                if b"data:" in received:
                    begun.release()
            texts[text] = received.decode()

    with (
        start_gateway(GATEWAY_LONGEST_STREAM_S="8") as doomed,
        start_gateway(GATEWAY_LONGEST_STREAM_S="8") as survivor,
    ):
        before = [body(f"before {number}") for number in range(10)]
        for number, reply in enumerate(await post_all([doomed.url], account.key, before)):
            assert reply.status == 200
            ids[f"before {number}"] = reply.headers["x-request-id"]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            begun = {text: asyncio.Semaphore(0) for text in (f"stream {number}" for number in range(60))}
            streams = [
                asyncio.create_task(
                    stream(
                        client,
                        doomed.url if number < 50 else survivor.url,
                        f"stream {number}",
                        begun[f"stream {number}"],
                    )
                )
                for number in range(60)
            ]
            await asyncio.gather(*(one.acquire() for one in begun.values()))
            doomed.program.send_signal(signal.SIGKILL)
            ended = await asyncio.gather(*streams, return_exceptions=True)
        assert sum(isinstance(one, aiohttp.ClientError) for one in ended) == 50
        calls = by_text(stand_in)
        assert len(calls) == 70
        records = account.recorded(70, within_s=40)
        killed = [text for text in calls if text not in texts and text.startswith("stream")]
        assert len(killed) == 50
        for text, call in calls.items():
            record = records[ids[text]]
            if text in killed:
                assert (record["outcome"], record["estimated"]) == ("expired", True)
                assert (
                    record["micro_usd"] == reserved_for(body(text, stream=True, max_tokens=25)) >= cost(call)
                )
            else:
                assert (record["outcome"], record["estimated"]) == ("answered", False)
                assert equal(record, call), text
        total = sum(record["micro_usd"] for record in records.values())
        until(lambda: account.budgets(valkey)["b:o"] == (total, 0))
        assert account.budgets(valkey)[f"b:p:{account.project_id}"] == (total, 0)
        assert account.held_by(valkey) == 0
        assert account.totals()["ORG"]["micro_usd"] == total
        assert account.totals()["ORG"]["requests"] == 70


async def test_streams_tell_their_usage_and_broken_ones_are_estimated(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws)
    with start_gateway() as gateway:
        stand_in.behave(cut_after=4)
        cut = (await post_all([gateway.url], account.key, [body("cut", stream=True)]))[0]
        stand_in.behave(without_usage=True)
        untold = (await post_all([gateway.url], account.key, [body("untold", stream=True)]))[0]
        stand_in.behave()
        whole = (await post_all([gateway.url], account.key, [body("whole", stream=True)]))[0]
        records = account.recorded(3)
        calls = by_text(stand_in)
        assert equal(records[whole.headers["x-request-id"]], calls["whole"])
        for reply, outcome in ((cut, "broken_off"), (untold, "answered")):
            record = records[reply.headers["x-request-id"]]
            assert (record["outcome"], record["estimated"]) == (outcome, True)
            assert 0 < record["completion_tokens"] <= 20
        key_totals = [total for scope, total in account.totals().items() if scope.startswith("KEY#")]
        assert key_totals[0]["requests"] == 3
        assert abs(key_totals[0]["last_used_at"] - time.time()) < 60


async def test_who_leaves_while_the_model_thinks_is_charged_for_its_thinking(
    gateway: Gateway, aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=10**6))
    stand_in.behave(delay_ms=30_000)
    stream = await gateway.async_sdk(account.key).chat.completions.create(
        model=MODEL, stream=True, max_tokens=10_000, messages=[{"role": "user", "content": "think"}]
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await anext(aiter(stream))
    await stream.close()
    (record,) = account.recorded(1).values()
    assert (record["outcome"], record["estimated"]) == ("broken_off", True)
    assert record["completion_tokens"] >= 1.4 * ESTIMATED_TOKENS_PER_S


async def test_when_dynamodb_is_gone_for_a_while_nothing_is_lost_and_budgets_hold(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn
) -> None:
    relay = Relay(int(aws.endpoint_url.rpartition(":")[2]))
    one = reserved_for(body("question 00"))
    account = Account(aws, Limits(spend_limit_micro_usd=30 * one))
    try:
        with start_gateway(AWS_ENDPOINT_URL=f"http://127.0.0.1:{relay.port}") as gateway:
            assert statuses(await post_all([gateway.url], account.key, [body("question 00")])) == {200: 1}
            account.recorded(1)
            relay.refuse()
            replies = await post_all(
                [gateway.url], account.key, [body(f"question {n:02}") for n in range(20)]
            )
            assert statuses(replies) == {200: 20}
            gateway.program.said("ledger_waits")
            assert len(account.records()) == 1
            relay.restore()
            records = account.recorded(21)
            assert sum(record["micro_usd"] for record in records.values()) == sum(
                cost(call) for call in stand_in.calls()["last"]
            )
            gateway.program.said("ledger_moves_again")
    finally:
        relay.close()
    assert account.totals()["ORG"]["requests"] == 21


async def test_when_valkey_loses_its_memory_usage_and_budgets_are_those_of_before(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn, other_valkey: ValkeyServer
) -> None:
    relay = Relay(int(aws.endpoint_url.rpartition(":")[2]))
    account = Account(aws, organization_limits=Limits(spend_limit_micro_usd=10**6))
    variables = {
        "GATEWAY_CACHE_URL": f"redis://127.0.0.1:{other_valkey.port}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}",
    }
    with start_gateway(**variables) as one, start_gateway(**variables) as other:
        urls = [one.url, other.url]
        await post_all(urls, account.key, [body(f"moved {number}") for number in range(6)])
        account.recorded(6)
        # With both replicas' way to the table cut, these are only in Valkey, which then loses them.
        relay.refuse()
        held_up = [body(f"lost {number}") for number in range(8)]
        assert statuses(await post_all(urls, account.key, held_up)) == {200: 8}
        other_valkey.stop()
        gone = await post_all(urls, account.key, [body("gone")])
        assert (gone[0].status, gone[0].code) == (503, "budget_unavailable")
        assert gone[0].headers["retry-after"] == "1"
        other_valkey.start()
        relay.restore()
        records = account.recorded(14)
        total = sum(record["micro_usd"] for record in records.values())
        assert total == sum(cost(call) for call in stand_in.calls()["last"])

        async def served() -> bool:
            return (await post_all(urls[:1], account.key, [body("after")]))[0].status == 200

        deadline = time.monotonic() + 10
        while not await served():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        account.recorded(15)
        spent = sum(record["micro_usd"] for record in account.records().values())
        until(lambda: account.budgets(other_valkey)["b:o"] == (spent, 0), what=f"{spent} spent")
        assert account.totals()["ORG"]["micro_usd"] == spent
    relay.close()


async def test_what_was_served_without_valkey_is_recorded_when_it_is_back(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn, other_valkey: ValkeyServer
) -> None:
    account = Account(aws)
    with start_gateway(GATEWAY_CACHE_URL=f"redis://127.0.0.1:{other_valkey.port}") as gateway:
        assert statuses(await post_all([gateway.url], account.key, [body("first")])) == {200: 1}
        account.recorded(1)
        other_valkey.stop()
        replies = await post_all([gateway.url], account.key, [body(f"without {n}") for n in range(5)])
        assert statuses(replies) == {200: 5}
        other_valkey.start()
        records = account.recorded(6)
        spent = sum(record["micro_usd"] for record in records.values())
        assert spent == sum(cost(call) for call in stand_in.calls()["last"])
        until(lambda: account.budgets(other_valkey).get("b:o") == (spent, 0))


async def test_a_stopping_replica_flushes_what_it_settled(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws)
    stand_in.behave(chunk_delay_ms=50)
    with start_gateway() as gateway:
        async with aiohttp.ClientSession() as client:
            asked = asyncio.create_task(post(client, gateway.url, account.key, body("last", stream=True)))
            await asyncio.to_thread(until, lambda: stand_in.calls()["total"])
            gateway.program.send_signal(signal.SIGTERM)
            reply = await asked
        assert "[DONE]" in reply.text
        await asyncio.to_thread(gateway.program.ended)
        assert equal(account.records()[reply.headers["x-request-id"]], by_text(stand_in)["last"])


@pytest.mark.usefixtures("stand_in")
async def test_each_threshold_is_told_once_by_whichever_replica(
    start_gateway: StartGateway, aws: Aws
) -> None:
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    told: list[str] = []

    def hear() -> list[str]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            told.append(json.loads(message["Body"])["Subject"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return told

    each = 15
    account = Account(
        aws, Limits(spend_alerts_micro_usd=(1, each * 4, 10**9)), Limits(spend_alerts_micro_usd=(2,))
    )
    variables = {"GATEWAY_ALERT_TOPIC_ARN": topic}
    with start_gateway(**variables) as one, start_gateway(**variables) as other:
        for turn in range(3):
            requests = [body(f"turn {turn} {number}") for number in range(6)]
            assert statuses(await post_all([one.url, other.url], account.key, requests)) == {200: 6}
            account.recorded(6 * (turn + 1))
        assert account.totals()["ORG"]["micro_usd"] > each * 4
        until(lambda: len(hear()) >= 3, 10.0, "three alerts")
        await post_all([one.url, other.url], account.key, [body("one more")])
        account.recorded(19)
    hear()
    assert len(told) == 3
    assert sum(account.organization_id in subject for subject in told) == 3
    assert sum(account.project_id in subject for subject in told) == 2


async def test_a_replica_with_nothing_to_flush_waits_for_nobody(
    start_gateway: StartGateway, other_valkey: ValkeyServer
) -> None:
    with start_gateway(GATEWAY_CACHE_URL=f"redis://127.0.0.1:{other_valkey.port}") as gateway:
        other_valkey.stop()
        gateway.program.said("ledger_waits")
        began = time.monotonic()
        gateway.program.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(gateway.program.ended) == 0
        assert time.monotonic() - began < 2
        assert b"not_closed_in_time" not in gateway.program.everything()
