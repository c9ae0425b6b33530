"""Every offered call of OpenAI's administration client, through the load balancer of a stack."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from app.admin.call import Call
from app.admin.offered import CALLS
from local.demo.evidence import Evidence
from tests.app.admin.examples import example
from tests.app.admin.people import People
from tests.app.admin.sdk_calls import SdkCall, sdk_calls

OFFERED = [call for call in CALLS if not call.ours]
BY_NAME: dict[str, SdkCall] = {call.name: call for call in sdk_calls()}


@pytest.fixture(scope="module")
def people(evidence: Evidence) -> People:
    balancer: Any = SimpleNamespace(url=evidence.base_url.removesuffix("/v1"))
    aws: Any = evidence.aws
    return People(
        aws,
        balancer,
        table=evidence.environment["GATEWAY_TABLE_NAME"],
        pepper=evidence.secret_value(evidence.container["secrets"][0]["valueFrom"]),
    )


def arguments(call: Call, people: People) -> dict[str, Any]:
    """What the SDK's method takes for a good request: ids by the names that it has for them."""
    request = example(call, people)
    template = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(BY_NAME[call.sdk].path))
    path = re.fullmatch(template, request.path)
    assert path is not None, f"{request.path} is not {BY_NAME[call.sdk].path}"
    return {**path.groupdict(), **(request.body or {}), **request.query}


@pytest.mark.parametrize("call", OFFERED, ids=[call.sdk for call in OFFERED])
def test_the_sdk_is_answered_exactly_what_its_types_say(call: Call, people: People) -> None:
    method: Any = people.api
    for name in call.sdk.split("."):
        method = getattr(method, name)
    # The client of `people` validates each answer strictly.
    method(**arguments(call, people))
