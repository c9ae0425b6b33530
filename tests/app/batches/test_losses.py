"""Batches outlive what is lost: memories, replicas, answers. Nothing is charged twice, or forgotten."""

import os
import signal
import time
from typing import Any

import openai
import pytest

from app.batches.watch import TURN
from app.limits import Limits
from tests.app.accounts import Account, valkey_client
from tests.app.batches.inputs import begun, made, price_of, requests
from tests.app.conftest import OPENAI_KEY, TABLE, Aws, Gateway, StandIn, StartGateway
from tests.servers import Relay, ValkeyServer, until


def next_turn(server: ValkeyServer) -> None:
    """The minute is over: a replica looks at the open batches."""
    with valkey_client(server) as client:
        client.delete(TURN)


def open_items(account: Account) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = account.aws.client("dynamodb").query(
        TableName=TABLE,
        ConsistentRead=True,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={
            ":pk": {"S": "OPEN_BATCHES"},
            ":sk": {"S": f"{account.organization_id}#"},
        },
    )["Items"]
    return items


def none_is_open(account: Account, server: ValkeyServer) -> bool:
    next_turn(server)
    time.sleep(0.2)
    return not open_items(account)


def test_a_lost_memory_begins_with_what_open_batches_hold(
    gateway: Gateway, aws: Aws, held: StandIn, valkey: ValkeyServer
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=1_000_000))
    client = gateway.sdk(key=account.key)
    batch = begun(client, requests(5))
    holds = account.budgets(valkey)
    assert holds["b:o"][1] > 0
    account.forget(valkey)
    client.batches.retrieve(batch.id)
    assert account.budgets(valkey) == holds
    account.limit_project(Limits(spend_limit_micro_usd=2 * holds["b:o"][1] - 1))
    until(lambda: _is_refused(client, batch.input_file_id), 8.0)
    held.control("PUT", "/batches", {"held": False})
    done = client.batches.retrieve(batch.id)
    assert done.output_file_id is not None
    charged = price_of(client.files.content(done.output_file_id).content)
    assert account.budgets(valkey)["b:o"] == (charged, 0)
    account.recorded(1)
    until(lambda: none_is_open(account, valkey), 20.0)
    account.forget(valkey)
    client.batches.retrieve(batch.id)
    assert account.budgets(valkey)["b:o"] == (charged, 0)


def _is_refused(client: openai.OpenAI, file_id: str) -> bool:
    try:
        batch = made(client, file_id)
    except openai.RateLimitError:
        return True
    client.batches.cancel(batch.id)
    client.batches.retrieve(batch.id)
    return False


def test_when_the_replica_that_made_it_is_killed_another_settles_it_unasked(
    start_gateway: StartGateway, aws: Aws, held: StandIn, valkey: ValkeyServer
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=1_000_000))
    with start_gateway() as doomed:
        batch = begun(doomed.sdk(key=account.key), requests(4))
        os.kill(doomed.program.popen.pid, signal.SIGKILL)
    held.control("PUT", "/batches", {"held": False})
    with start_gateway() as survivor:
        next_turn(valkey)
        (record,) = account.recorded(1).values()
        until(lambda: none_is_open(account, valkey), 20.0)
        client = survivor.sdk(key=account.key)
        assert [(one.id, one.status) for one in client.batches.list()] == [(batch.id, "completed")]
        output = client.batches.retrieve(batch.id).output_file_id
        assert output is not None
        assert record["micro_usd"] == price_of(client.files.content(output).content)
    assert account.budgets(valkey)["b:o"] == (record["micro_usd"], 0)
    assert account.held_by(valkey) == 0


def minutes_pass(item: dict[str, Any], aws: Aws, server: ValkeyServer) -> None:
    """An open batch is so old that it is looked for."""
    next_turn(server)
    long_ago = int(item["created_at"]["N"]) - 300
    aws.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": item["pk"], "sk": item["sk"]},
        UpdateExpression="SET created_at = :at",
        ExpressionAttributeValues={":at": {"N": str(long_ago)}},
    )
    next_turn(server)


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("failure", [{"cut": True}, {"failing": 502}, {"failing": 504}, {"failing": 409}])
def test_a_batch_whose_making_failed_on_its_way_is_asked_for_once_and_found_or_given_back(
    gateway: Gateway,
    aws: Aws,
    held: StandIn,
    valkey: ValkeyServer,
    failure: dict[str, Any],
    is_made: bool,
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=1_000_000))
    client = gateway.sdk(key=account.key, max_retries=2)
    file = client.files.create(file=("input.jsonl", requests(2)), purpose="batch")
    held.control("PUT", "/batches", {"held": True, **failure})
    with pytest.raises(openai.InternalServerError) as doubt:
        made(client, file.id, metadata={"mine": "yes"})
    assert doubt.value.code == "batch_in_doubt"
    assert held.calls()["endpoints"]["POST /v1/batches"] == 1
    holds = account.budgets(valkey)["b:o"]
    assert holds[1] > 0
    assert list(client.batches.list()) == []
    if not is_made:
        held.control("DELETE", "/batches")
    held.control("PUT", "/batches", {"held": True})
    (item,) = open_items(account)
    minutes_pass(item, aws, valkey)
    if is_made:
        until(lambda: list(client.batches.list()), 10.0)
        (batch,) = client.batches.list()
        assert batch.metadata == {"mine": "yes"}
        assert account.budgets(valkey)["b:o"] == holds
    else:
        until(lambda: not open_items(account), 10.0)
        until(lambda: account.budgets(valkey)["b:o"] == (0, 0))


def test_of_two_batches_with_one_mark_one_is_kept_and_the_other_cancelled(
    gateway: Gateway, aws: Aws, held: StandIn, valkey: ValkeyServer
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=1_000_000))
    client = gateway.sdk(key=account.key)
    file = client.files.create(file=("input.jsonl", requests(2)), purpose="batch")
    held.control("PUT", "/batches", {"held": True, "failing": 502})
    with pytest.raises(openai.InternalServerError):
        made(client, file.id)
    held.control("PUT", "/batches", {"held": True})
    direct = openai.OpenAI(base_url=f"{held.url}/v1", api_key=OPENAI_KEY)
    (first,) = direct.batches.list()
    second = made(direct, file.id, metadata=first.metadata)
    (item,) = open_items(account)
    minutes_pass(item, aws, valkey)
    until(lambda: list(client.batches.list()), 10.0)
    assert [one.id for one in client.batches.list()] == [first.id]
    assert {one.id: one.status for one in direct.batches.list()} == {
        first.id: "in_progress",
        second.id: "cancelled",
    }


def test_an_upload_that_failed_on_its_way_is_not_made_again(gateway: Gateway, held: StandIn) -> None:
    held.control("PUT", "/batches", {"held": True, "failing": 502})
    with pytest.raises(openai.InternalServerError):
        gateway.sdk().files.create(file=("input.jsonl", requests(2)), purpose="batch")
    assert held.calls()["endpoints"] == {"POST /v1/files": 1}


def test_one_that_nobody_settles_is_charged_in_full_when_its_time_is_over(
    gateway: Gateway, aws: Aws, held: StandIn, valkey: ValkeyServer
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=1_000_000))
    client = gateway.sdk(key=account.key)
    batch = begun(client, requests(2))
    holds = account.budgets(valkey)["b:o"][1]
    with valkey_client(valkey) as memory:
        leases = f"admission:{{{account.organization_id}}}:leases"
        (name,) = memory.zrange(leases, 0, -1)
        memory.zadd(leases, {name: 1})
    client.batches.retrieve(batch.id)
    (record,) = account.recorded(1).values()
    assert (record["outcome"], record["micro_usd"], record["requests"]) == ("expired", holds, 2)
    until(lambda: none_is_open(account, valkey), 20.0)
    held.control("PUT", "/batches", {"held": False})
    done = client.batches.retrieve(batch.id)
    assert done.status == "completed"
    assert done.output_file_id is not None
    assert client.files.content(done.output_file_id).content
    assert account.budgets(valkey)["b:o"] == (holds, 0)
    assert len(account.records()) == 1


def test_a_batch_ends_when_its_output_could_be_read(
    gateway: Gateway, aws: Aws, held: StandIn, valkey: ValkeyServer
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=1_000_000))
    client = gateway.sdk(key=account.key)
    batch = begun(client, requests(2))
    holds = account.budgets(valkey)["b:o"]
    held.control("PUT", "/batches", {"held": False, "unreadable": True})
    seen = client.batches.retrieve(batch.id)
    assert (seen.status, seen.output_file_id, seen.completed_at) == ("finalizing", None, None)
    assert account.budgets(valkey)["b:o"] == holds
    held.control("PUT", "/batches", {"held": False})
    assert client.batches.retrieve(batch.id).status == "completed"
    assert account.budgets(valkey)["b:o"][1] == 0


def test_without_valkey_no_batch_is_made_and_one_that_ended_is_settled_when_it_answers_again(
    start_gateway: StartGateway, aws: Aws, held: StandIn, valkey: ValkeyServer
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=1_000_000))
    relay = Relay(valkey.port)
    try:
        with start_gateway(GATEWAY_CACHE_URL=f"redis://127.0.0.1:{relay.port}") as gateway:
            client = gateway.sdk(key=account.key)
            batch = begun(client, requests(2))
            holds = account.budgets(valkey)["b:o"]
            held.control("PUT", "/batches", {"held": False})
            relay.refuse()
            done = client.batches.retrieve(batch.id)
            assert done.status == "completed"
            assert done.output_file_id is not None
            assert account.budgets(valkey)["b:o"] == holds
            with pytest.raises(openai.InternalServerError) as refused:
                made(client, batch.input_file_id)
            assert refused.value.code == "batches_unavailable"
            client.files.delete(done.output_file_id)
            relay.restore()
            until(lambda: none_is_open(account, valkey), 20.0)
        (record,) = account.recorded(1).values()
        assert account.budgets(valkey)["b:o"] == (record["micro_usd"], 0)
        assert 0 < record["micro_usd"] <= holds[1]
    finally:
        relay.close()
