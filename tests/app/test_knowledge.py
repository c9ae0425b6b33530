"""New knowledge in the bucket, and what becomes of answers that rest on it."""

import json
import time
from typing import Any

import httpx2
import pytest

from app.knowledge import UnreadableMessageError, namespaces
from app.project_settings import ProjectSettings
from tests.app.accounts import Account
from tests.app.conftest import Aws, Gateway, StandIn, StartGateway
from tests.app.test_caching import ask, status
from tests.servers import Relay, ValkeyServer, until


def notice(*keys: str) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": key}}} for key in keys]})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (notice("knowledge/proj_1/docs/a.txt"), {("proj_1", "docs")}),
        (notice("knowledge/proj_1/docs/a+b%2Fc/d.txt"), {("proj_1", "docs")}),
        (notice("knowledge/p/a/1", "knowledge/p/a/2", "knowledge/q/b/3"), {("p", "a"), ("q", "b")}),
        (notice("knowledge/p/readme.txt", "knowledge/p/a+b/1", "records/p/a/1", "knowledge//a/1"), set()),
        (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}), set()),
    ],
)
def test_a_message_names_projects_and_namespaces(body: str, expected: set[tuple[str, str]]) -> None:
    assert namespaces(body) == expected


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", "null", '{"Records": []}', '{"Records": [{}]}', '{"Records": 1}', "hello"]
)
def test_what_s3_does_not_send_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableMessageError):
        namespaces(body)


@pytest.fixture
def account(aws: Aws) -> Account:
    return Account(aws)


@pytest.fixture(scope="module")
def bucket(aws: Aws, gateway: Gateway) -> str:
    """A bucket that tells the gateway's queue of what is below knowledge/."""
    sqs, s3 = aws.client("sqs"), aws.client("s3")
    attributes = sqs.get_queue_attributes(QueueUrl=gateway.knowledge_queue_url, AttributeNames=["QueueArn"])
    s3.create_bucket(Bucket="knowledge")
    queue: Any = {
        "QueueArn": attributes["Attributes"]["QueueArn"],
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "knowledge/"}]}},
    }
    s3.put_bucket_notification_configuration(
        Bucket="knowledge", NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    return "knowledge"


def learn(account: Account, bucket: str, namespace: str) -> None:
    account.aws.client("s3").put_object(
        Bucket=bucket, Key=f"knowledge/{account.project_id}/{namespace}/a file.txt", Body=b"news"
    )


def is_forgotten(gateway: Gateway, account: Account, namespace: str) -> bool:
    asked = ask(gateway, account.key, x_cache="only", x_cache_namespace=namespace)
    return asked.status_code == 404


def test_an_object_below_its_prefix_invalidates_its_namespace_and_no_other(
    gateway: Gateway, stand_in: StandIn, account: Account, bucket: str
) -> None:
    for namespace in ("docs", "other"):
        assert status(ask(gateway, account.key, x_cache_namespace=namespace)) == "miss"
    learn(account, bucket, "docs")
    until(lambda: is_forgotten(gateway, account, "docs"), what="the invalidation")
    assert not is_forgotten(gateway, account, "other")
    assert stand_in.calls()["total"] == 2


@pytest.mark.usefixtures("stand_in")
def test_an_object_of_a_project_that_shares_invalidates_what_is_shared(
    gateway: Gateway, account: Account, bucket: str
) -> None:
    account.choose(ProjectSettings(cache_shared=True))
    sister = Account(account.aws, organization_id=account.organization_id)
    sister.choose(ProjectSettings(cache_shared=True))
    assert status(ask(gateway, account.key, x_cache_namespace="docs")) == "miss"
    assert status(ask(gateway, sister.key, x_cache_namespace="docs")) == "hit"
    learn(account, bucket, "docs")
    until(lambda: is_forgotten(gateway, sister, "docs"), what="the invalidation")


@pytest.mark.usefixtures("stand_in")
def test_what_cannot_be_read_is_said_and_stays_in_the_queue(gateway: Gateway, aws: Aws) -> None:
    aws.client("sqs").send_message(QueueUrl=gateway.knowledge_queue_url, MessageBody="not from S3")
    gateway.program.said("knowledge_unreadable")
    attributes = aws.client("sqs").get_queue_attributes(
        QueueUrl=gateway.knowledge_queue_url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    assert attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"
    aws.client("sqs").purge_queue(QueueUrl=gateway.knowledge_queue_url)


def test_queue_gone_or_slow_requests_go_on_and_it_is_read_again_afterwards(
    start_gateway: StartGateway, stand_in: StandIn, account: Account
) -> None:
    relay = Relay(int(account.aws.endpoint_url.rpartition(":")[2]))
    relay.refuse()
    with start_gateway(AWS_ENDPOINT_URL_SQS=f"http://127.0.0.1:{relay.port}") as cut_off:
        cut_off.program.said("knowledge_waits")
        began = time.monotonic()
        assert status(ask(cut_off, account.key, x_cache_namespace="docs")) == "miss"
        assert time.monotonic() - began < 1
        body = notice(f"knowledge/{account.project_id}/docs/news")
        account.aws.client("sqs").send_message(QueueUrl=cut_off.knowledge_queue_url, MessageBody=body)
        relay.restore()
        until(lambda: is_forgotten(cut_off, account, "docs"), 10.0, "the invalidation")
    relay.close()
    assert stand_in.calls()["total"] == 1


def test_cache_gone_the_message_waits_until_it_is_back(
    start_gateway: StartGateway, valkey: ValkeyServer, stand_in: StandIn, account: Account
) -> None:
    queue_url = account.aws.new_queue(VisibilityTimeout="1")
    relay = Relay(valkey.port)
    with start_gateway(
        GATEWAY_KNOWLEDGE_QUEUE_URL=queue_url, GATEWAY_CACHE_URL=f"redis://127.0.0.1:{relay.port}"
    ) as cut_off:
        assert status(ask(cut_off, account.key, x_cache_namespace="docs")) == "miss"
        relay.refuse()
        until(lambda: status(ask(cut_off, account.key, x_cache="bypass")) == "bypass")
        refused = httpx2.post(
            f"{cut_off.url}/v1/cache/invalidate",
            json={"namespace": "docs"},
            headers={"authorization": f"Bearer {account.key}"},
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "cache_unavailable")
        body = notice(f"knowledge/{account.project_id}/docs/news")
        account.aws.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body)
        cut_off.program.said("knowledge_waits")
        relay.restore()
        cut_off.program.said("knowledge_changed", project_id=account.project_id, namespace="docs")
        assert is_forgotten(cut_off, account, "docs")
    relay.close()
    assert stand_in.calls()["total"] == 2
