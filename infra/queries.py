"""Saved Logs Insights queries: the questions that come up at three in the morning, ready to run."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

REQUESTS = 'filter event = "request"'

# Of the gateway's log, one JSON line a request (app/telemetry.py).
OF_THE_GATEWAY: Mapping[str, tuple[str, ...]] = {
    "Failed requests": (
        "fields @timestamp, status, error, upstream_status, model, project_id, request_id",
        f"{REQUESTS} and status >= 500",
        "sort @timestamp desc",
        "limit 100",
    ),
    "Slowest requests": (
        "fields @timestamp, total_ms, first_byte_ms, upstream_ms, model, stream, project_id, request_id",
        REQUESTS,
        "sort total_ms desc",
        "limit 100",
    ),
    "Latency by model": (
        REQUESTS,
        "stats pct(first_byte_ms, 50) as p50_ms, pct(first_byte_ms, 99) as p99_ms by model, bin(5m)",
    ),
    "Tokens by project": (
        REQUESTS,
        "stats sum(prompt_tokens) as prompt, sum(completion_tokens) as completion by project_id, model",
        "sort completion desc",
    ),
    "Refused by limits": (
        f"{REQUESTS} and status = 429",
        "stats count(*) as refused by error, project_id, key_id, bin(5m)",
    ),
    "Cache hits": (REQUESTS, "stats count(*) as requests by cache, model"),
}

OF_STOPPED_TASKS: Mapping[str, tuple[str, ...]] = {
    "Stopped tasks": (
        "fields @timestamp, detail.stopCode, detail.stoppedReason, detail.containers.0.exitCode",
        "sort @timestamp desc",
        "limit 100",
    )
}


@dataclass(frozen=True)
class QueriesArgs:
    """folder: what the queries stand under in the console."""

    folder: str
    gateway_log_group: pulumi.Input[str]
    stopped_tasks_log_group: pulumi.Input[str]


class Queries(pulumi.ComponentResource):
    """One saved query a question."""

    def __init__(self, name: str, args: QueriesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Queries", name, None, opts)
        for group, questions in (
            (args.gateway_log_group, OF_THE_GATEWAY),
            (args.stopped_tasks_log_group, OF_STOPPED_TASKS),
        ):
            for question, steps in questions.items():
                aws.cloudwatch.QueryDefinition(
                    f"{name}-{question.lower().replace(' ', '-')}",
                    name=f"{args.folder}/{question}",
                    log_group_names=[group],
                    query_string="\n| ".join(steps),
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({})
