"""What a real Pulumi engine asks of the provider plugin, and what it then does with a whole stack."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from infra.config import ROOT
from local.aws.client import LocalAws
from local.components import inherited_environment
from local.engine.deploy import complaint, created_by, pulumi, run_engine
from local.program import ProgramError
from local.provider.mocks import CreatedResource

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def struct(value: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(value)
    return made


@pytest.fixture
def plugin(aws: LocalAws) -> Iterator[Any]:
    """A configured plugin, spoken to as the engine does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.engine.plugin", "pulumi-aws"],
        cwd=ROOT,
        env={**inherited_environment(), **aws.environment()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdin
    with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        tags = json_format.MessageToJson(struct({"tags": {"owner": "platform@example.com"}}))
        stub.Configure(provider_pb2.ConfigureRequest(args=struct({"defaultTags": tags})))
        yield stub
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def create(plugin: Any, kind: str, name: str, inputs: dict[str, Any], preview: bool = False) -> Any:
    return plugin.Create(
        provider_pb2.CreateRequest(type=kind, name=name, properties=struct(inputs), preview=preview)
    )


def test_a_created_resource_is_on_local_aws_with_the_providers_tags(plugin: Any, aws: LocalAws) -> None:
    created = create(plugin, LOG_GROUP, "logs", {"name": "/plugin/created", "retentionInDays": 7.0})
    arn = created.properties["arn"]
    assert created.properties["tagsAll"]["owner"] == "platform@example.com"
    group = aws.call("logs", "describe_log_groups", logGroupNamePrefix="/plugin/created")["logGroups"][0]
    assert group["retentionInDays"] == 7
    assert aws.call("logs", "list_tags_for_resource", resourceArn=arn)["tags"] == {
        "owner": "platform@example.com"
    }


def test_a_preview_creates_nothing(plugin: Any, aws: LocalAws) -> None:
    created = create(plugin, LOG_GROUP, "logs", {"name": "/plugin/previewed"}, preview=True)
    assert created.id == ""
    assert not aws.call("logs", "describe_log_groups", logGroupNamePrefix="/plugin/previewed")["logGroups"]


def test_a_type_that_nobody_handles_is_named_to_the_engine(plugin: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        create(plugin, "aws:mq/broker:Broker", "jobs", {})
    assert "local AWS does not know the resource type aws:mq/broker:Broker" in str(refused.value)


def test_a_deleted_secret_waits_out_its_recovery_window(plugin: Any, aws: LocalAws, unique: str) -> None:
    kind, inputs = "aws:secretsmanager/secret:Secret", {"name": unique, "recoveryWindowInDays": 7.0}
    made = create(plugin, kind, "vault", inputs)
    request = provider_pb2.DeleteRequest(id=made.id, type=kind, properties=struct(inputs))
    request.old_inputs.CopyFrom(struct(inputs))
    plugin.Delete(request)
    assert "DeletedDate" in aws.call("secretsmanager", "describe_secret", SecretId=unique)


def test_equal_inputs_are_no_change_and_others_name_what_differs(plugin: Any) -> None:
    old = struct({"name": "a", "retentionInDays": 7.0})
    same = plugin.Diff(provider_pb2.DiffRequest(old_inputs=old, news=old))
    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
    other = struct({"name": "a", "retentionInDays": 14.0})
    changed = plugin.Diff(provider_pb2.DiffRequest(old_inputs=old, news=other))
    assert changed.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(changed.replaces) == ["retentionInDays"]


def test_without_the_pulumi_command_the_refusal_says_so(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramError, match="there is no pulumi command on the PATH"):
        run_engine("staging", aws, {}, lambda _: None, tmp_path)


def test_a_failed_update_tells_its_errors_and_not_their_consequences() -> None:
    log = """Diagnostics:
  aws:sqs:Queue (jobs):
    error: local AWS does not know the resource type aws:mq/broker:Broker

  pulumi:pulumi:Stack (openai-gateway-staging):
    error: update failed
    error: Program failed with an unhandled exception:
    Traceback (most recent call last):
"""
    assert complaint(log) == "error: local AWS does not know the resource type aws:mq/broker:Broker"
    own = log.replace("    error: local AWS does not know the resource type aws:mq/broker:Broker\n", "")
    raised = "Exception: invoke failed: the account has no hosted zone example.com"
    assert complaint(f'{own}      File "rpc.py", line 1\n    {raised}\n\nResources:\n') == raised
    assert complaint("error: unknown flag: --event-log") == "error: unknown flag: --event-log"


def test_only_what_an_update_made_is_told() -> None:
    def ended(op: str) -> dict[str, Any]:
        urn = f"urn:pulumi:prod::p::{LOG_GROUP}::logs"
        metadata = {"type": LOG_GROUP, "urn": urn, "op": op, "new": {"id": "/logs"}}
        return {"timestamp": 7, "resOutputsEvent": {"metadata": metadata}}

    made = created_by(ended("create"), {})
    assert made is not None
    assert (made.type, made.name, made.id) == (LOG_GROUP, "logs", "/logs")
    assert created_by(ended("same"), {}) is None


@pytest.mark.skipif(shutil.which("pulumi") is None, reason="needs the Pulumi CLI on the PATH")
def test_a_second_preview_of_a_stack_changes_nothing(aws: LocalAws, tmp_path: Path) -> None:
    seen: list[CreatedResource] = []
    deployment = run_engine("staging", aws, {}, seen.append, tmp_path)
    assert deployment.outputs["service_name"] == "gateway"
    assert len(seen) == len(deployment.resources) > 50
    preview = ("preview", "--expect-no-changes", "--stack", "staging")
    assert "unchanged" in pulumi(tmp_path, aws, *preview)
