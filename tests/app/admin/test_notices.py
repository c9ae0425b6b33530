"""The topic's word on who is let in: it fails nothing, and its subject is one that SNS takes."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from app.admin.notices import Notices


class Topic:
    def __init__(self, failure: Exception | None = None) -> None:
        self.told: list[dict[str, Any]] = []
        self._failure = failure

    async def publish(self, **message: Any) -> dict[str, Any]:
        if self._failure is not None:
            raise self._failure
        self.told.append(message)
        return {}


async def test_a_subject_is_one_that_sns_takes() -> None:
    topic = Topic()
    await Notices(topic, "arn").tell("Zoë " + "x" * 200, "text")
    [message] = topic.told
    assert message["Subject"].isascii()
    assert len(message["Subject"]) == 100
    assert message["Message"] == "text"


async def test_a_topic_that_is_gone_is_logged_and_fails_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    await Notices(Topic(EndpointConnectionError(endpoint_url="https://sns")), "arn").tell("subject", "text")
    line = json.loads(capfd.readouterr().out)
    assert (line["event"], line["reason"]) == ("notice_not_sent", "EndpointConnectionError")
