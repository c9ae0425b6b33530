"""Cost allocation tags: what is known is activated, what is active is left, what is not yet known is said."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra import cost_tags
from infra.config import load_file


class Session:
    """A session whose one client is stubbed."""

    def __init__(self, billing: Any) -> None:
        self.billing = billing

    def client(self, service: str, region_name: str) -> Any:
        assert (service, region_name) == ("ce", "us-east-1")
        return self.billing


@pytest.fixture
def billing() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("ce", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield Session(client), stub
        stub.assert_no_pending_responses()


def known(**status: str) -> dict[str, Any]:
    return {
        "CostAllocationTags": [
            {"TagKey": key.replace("_", "-"), "Type": "UserDefined", "Status": value}
            for key, value in status.items()
        ]
    }


def test_the_tags_are_those_of_every_resource() -> None:
    assert set(cost_tags.TAGS) == set(load_file("staging").tags)


def test_what_is_known_and_inactive_is_activated(billing: tuple[Any, Stubber]) -> None:
    session, stub = billing
    asked = {"TagKeys": list(cost_tags.TAGS), "Type": "UserDefined"}
    stub.add_response("list_cost_allocation_tags", known(project="Active") | {"NextToken": "more"}, asked)
    rest = known(stack="Inactive", cost_center="Inactive")
    stub.add_response("list_cost_allocation_tags", rest, asked | {"NextToken": "more"})
    wanted = [{"TagKey": "stack", "Status": "Active"}, {"TagKey": "cost-center", "Status": "Active"}]
    stub.add_response(
        "update_cost_allocation_tags_status", {"Errors": []}, {"CostAllocationTagsStatus": wanted}
    )
    assert cost_tags.activate(session) == cost_tags.Outcome(
        ("project",), ("stack", "cost-center"), ("environment", "owner", "repository")
    )


def test_nothing_is_changed_when_all_are_active(billing: tuple[Any, Stubber]) -> None:
    session, stub = billing
    everything = {tag.replace("-", "_"): "Active" for tag in cost_tags.TAGS}
    stub.add_response("list_cost_allocation_tags", known(**everything))
    assert cost_tags.activate(session) == cost_tags.Outcome(cost_tags.TAGS, (), ())


def test_what_aws_refuses_is_told_with_its_reason(billing: tuple[Any, Stubber]) -> None:
    session, stub = billing
    stub.add_response("list_cost_allocation_tags", known(stack="Inactive"))
    error = {"TagKey": "stack", "Code": "x", "Message": "only the payer account may"}
    stub.add_response("update_cost_allocation_tags_status", {"Errors": [error]})
    with pytest.raises(cost_tags.RefusedError, match="stack: only the payer account may"):
        cost_tags.activate(session)
