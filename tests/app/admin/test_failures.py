"""What administration says when the table is slow or gone, and that it leaves nothing half changed."""

import copy
import time
from collections.abc import Iterator

import pytest

from tests.app.admin.people import People
from tests.app.conftest import Aws, Gateway, StartGateway
from tests.servers import Relay


@pytest.fixture
def cut_off(start_gateway: StartGateway, aws: Aws) -> Iterator[tuple[Gateway, Relay]]:
    """A gateway whose way to DynamoDB is a relay."""
    relay = Relay(int(aws.endpoint_url.rsplit(":", 1)[1]))
    with start_gateway(AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{relay.port}") as gateway:
        yield gateway, relay
    relay.close()


@pytest.mark.parametrize("trouble", ["stall", "refuse"])
def test_without_the_table_a_change_is_refused_within_the_bound_and_not_made(
    aws: Aws, gateway: Gateway, cut_off: tuple[Gateway, Relay], trouble: str
) -> None:
    lonely, relay = cut_off
    here = People(aws, gateway)
    there = copy.copy(here)
    there.gateway = lonely
    assert there.ask("POST", "/organization/projects", body={"name": "Before"}).status_code == 200
    getattr(relay, trouble)()
    began = time.monotonic()
    answer = there.ask("POST", "/organization/projects", body={"name": "Meanwhile"})
    assert time.monotonic() - began < 5.0
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "records_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert [one.name for one in here.api.projects.list()] == ["Before"]
    assert [one["type"] for one in here.log()] == ["project.created"]
    relay.restore()
    assert there.ask("POST", "/organization/projects", body={"name": "After"}).status_code == 200


def test_the_address_in_the_log_is_the_one_that_the_balancer_wrote(people: People) -> None:
    client = people.client().with_options(
        default_headers={"X-Forwarded-For": "10.0.0.1, 198.51.100.7", "User-Agent": "agent " + "x" * 300}
    )
    client.admin.organization.projects.create(name="From afar")
    [entry] = people.log()
    assert entry["actor"]["ip_address"] == "198.51.100.7"
    assert entry["actor"]["user_agent"] == ("agent " + "x" * 300)[:200]
