"""Saved queries ask for what the logs hold."""

import json
import re

from app.telemetry import RequestRecord
from infra.queries import OF_STOPPED_TASKS, OF_THE_GATEWAY
from tests.infra.graph import StackGraph

WORDS = {
    "fields",
    "filter",
    "event",
    "and",
    "sort",
    "desc",
    "limit",
    "stats",
    "count",
    "sum",
    "pct",
    "as",
    "by",
}
WORDS |= {"bin", "requests", "refused", "prompt", "completion", "p50_ms", "p99_ms", "request"}


def test_every_question_is_saved_under_the_stacks_name(either: StackGraph) -> None:
    saved = {query.get("name"): query for query in either.all("QueryDefinition")}
    folder = either.outputs["cluster_name"]
    assert set(saved) == {f"{folder}/{question}" for question in {**OF_THE_GATEWAY, **OF_STOPPED_TASKS}}
    for question in OF_THE_GATEWAY:
        assert saved[f"{folder}/{question}"].get("logGroupNames") == [either.outputs["log_group_name"]]
    [group] = saved[f"{folder}/Stopped tasks"].get("logGroupNames")
    assert group == either.one("LogGroup", "logs-stopped-tasks").get("name")


def test_queries_name_only_fields_that_the_gateway_logs() -> None:
    logged = set(json.loads(RequestRecord("req", "POST", "/v1/chat/completions").line()))
    for question, steps in OF_THE_GATEWAY.items():
        named = set(re.findall(r"(?<!@)\b[a-z][a-z0-9_]*\b", " ".join(steps).replace("5m", "")))
        assert named - WORDS <= logged, question
        assert all("message" not in step for step in steps), question
