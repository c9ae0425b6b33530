"""Environment, secrets, roles, health checks and logs of a task, each by itself."""

import datetime
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.aws.client import ACCOUNT_ID, Credentials, LocalAws
from local.ecs.credentials_endpoint import CredentialsEndpoint
from local.ecs.deployed import ContainerHealthCheck, TaskDefinition
from local.ecs.environment import SecretUnavailableError, on_this_machine, resolve_secrets, task_environment
from local.ecs.health import HealthChecker
from local.ecs.logs import MOST_LINES_PER_BATCH, LogShipper
from local.ecs.roles import RoleCredentials, trusts_ecs_tasks
from local.processes import ProcessTable, wait_until


def definition(**changes: Any) -> TaskDefinition:
    fields: dict[str, Any] = {
        "arn": "arn:aws:ecs:us-east-1:123456789012:task-definition/f:1",
        "task_role_arn": "task",
        "execution_role_arn": "execution",
        "cpu": 256,
        "memory_mib": 512,
        "container_name": "gateway",
        "command": ("python", "-m", "app"),
        "environment": {"GATEWAY_HOST": "0.0.0.0", "GATEWAY_PORT": "8080", "OWN": "value"},  # noqa: S104
        "secrets": {},
        "health_check": None,
        "stop_timeout_s": 1,
        "log_group": None,
        "log_stream_prefix": "gateway",
    }
    return TaskDefinition(**{**fields, **changes})


def test_a_task_is_given_the_containers_environment_and_the_documented_additions_only(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the caller's own")
    given = task_environment(
        definition(), {"PEPPER": "p"}, 1234, aws, "http://127.0.0.1:1/x", tmp_path / "ca"
    )
    assert given["OWN"] == "value"
    assert given["PEPPER"] == "p"
    assert (given["GATEWAY_HOST"], given["GATEWAY_PORT"]) == ("127.0.0.1", "1234")
    additions = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
        "SSL_CERT_FILE", "PATH", "LANG", "PYTHONUNBUFFERED",
    }  # fmt: skip
    assert given.keys() == {"OWN", "PEPPER", "GATEWAY_HOST", "GATEWAY_PORT"} | additions


def test_the_images_python_is_this_one() -> None:
    assert on_this_machine(("python", "-m", "app", "python")) == [sys.executable, "-m", "app", "python"]
    assert on_this_machine(("/bin/true",)) == ["/bin/true"]


def test_secrets_are_resolved_whole_by_key_and_from_parameters(aws: LocalAws, unique: str) -> None:
    arn = aws.call("secretsmanager", "create_secret", Name=unique, SecretString='{"a": "1"}')["ARN"]
    aws.call("ssm", "put_parameter", Name=f"/{unique}", Value="2", Type="SecureString")
    references = {"WHOLE": arn, "KEY": f"{arn}:a::", "PARAMETER": f"/{unique}"}
    assert resolve_secrets(definition(secrets=references), aws) == {
        "WHOLE": '{"a": "1"}',
        "KEY": "1",
        "PARAMETER": "2",
    }


def test_a_secret_without_a_value_keeps_the_task_from_starting_and_is_named(
    aws: LocalAws, unique: str
) -> None:
    arn = aws.call("secretsmanager", "create_secret", Name=unique)["ARN"]
    with pytest.raises(SecretUnavailableError, match=f"PEPPER.*{unique}"):
        resolve_secrets(definition(secrets={"PEPPER": arn}), aws)


def trust(**statement: Any) -> dict[str, Any]:
    principal = {"Service": "ecs-tasks.amazonaws.com"}
    return {
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **statement}]
    }


@pytest.mark.parametrize(
    ("policy", "trusted"),
    [
        (trust(), True),
        (trust(Principal={"Service": ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]}), True),
        (trust(Principal={"Service": "ec2.amazonaws.com"}), False),
        (trust(Principal={"AWS": "*"}), False),
        (trust(Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT_ID}}), True),
        (trust(Condition={"StringEquals": {"aws:SourceAccount": "999999999999"}}), False),
        (trust(Condition={"ArnLike": {"aws:SourceArn": f"arn:aws:ecs:us-west-2:{ACCOUNT_ID}:*"}}), False),
    ],
)
def test_a_role_is_assumed_only_where_it_trusts_ecs(policy: dict[str, Any], trusted: bool) -> None:
    assert trusts_ecs_tasks(policy, "arn", "us-east-1") is trusted


@pytest.fixture
def endpoint() -> Iterator[CredentialsEndpoint]:
    served = CredentialsEndpoint()
    yield served
    served.close()


def given(minutes: float) -> RoleCredentials:
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    return RoleCredentials("arn", Credentials("id", "secret", f"token-{minutes}"), expires)


def fetch(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 loopback
        found: dict[str, Any] = json.loads(answer.read())
    return found


def test_a_tasks_credentials_are_served_at_an_address_of_its_own(endpoint: CredentialsEndpoint) -> None:
    address = endpoint.add(lambda: given(60))
    assert fetch(address)["Token"] == "token-60"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(address[:-1])
    endpoint.remove(address)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(address)


def test_credentials_are_kept_until_they_are_about_to_expire(endpoint: CredentialsEndpoint) -> None:
    fresh, short = [given(60), given(61)], [given(14), given(60)]
    kept, renewed = endpoint.add(lambda: fresh.pop(0)), endpoint.add(lambda: short.pop(0))
    assert fetch(kept)["Token"] == fetch(kept)["Token"] == "token-60"
    assert (fetch(renewed)["Token"], fetch(renewed)["Token"]) == ("token-14", "token-60")


def test_a_container_is_unhealthy_after_its_retries_outside_the_start_period(
    processes: ProcessTable, tmp_path: Path
) -> None:
    check = ContainerHealthCheck(("CMD-SHELL", "test -f ok"), 1, 5, 2, start_period_s=10)
    checker = HealthChecker(check, processes, {"PATH": "/bin:/usr/bin"}, tmp_path, tmp_path / "log", 0.0)

    def run_at(now: float) -> str:
        checker.step(now)
        assert wait_until(lambda: ended(now), 5)
        return checker.health

    def ended(now: float) -> bool:
        checker.step(now)
        return not checker.is_running

    assert [run_at(1), run_at(3), run_at(5)] == ["UNKNOWN"] * 3
    assert [run_at(11), run_at(13)] == ["UNKNOWN", "UNHEALTHY"]
    (tmp_path / "ok").touch()
    assert run_at(15) == "HEALTHY"
    (tmp_path / "ok").unlink()
    assert [run_at(17), run_at(19)] == ["HEALTHY", "UNHEALTHY"]


def test_a_check_that_takes_too_long_is_a_failure(processes: ProcessTable, tmp_path: Path) -> None:
    check = ContainerHealthCheck(("CMD-SHELL", "sleep 60"), 1, 5, 1, 0)
    checker = HealthChecker(check, processes, {"PATH": "/bin:/usr/bin"}, tmp_path, tmp_path / "log", 0.0)
    checker.step(1)
    checker.step(6)
    assert checker.is_running
    checker.step(6.1)
    assert (checker.is_running, checker.health) == (False, "UNHEALTHY")


@pytest.fixture
def log_group(aws: LocalAws, unique: str) -> str:
    aws.call("logs", "create_log_group", logGroupName=f"/{unique}")
    return f"/{unique}"


def messages(aws: LocalAws, group: str) -> list[str]:
    events = aws.call("logs", "filter_log_events", logGroupName=group)["events"]
    return [event["message"] for event in events]


def test_complete_lines_go_to_the_log_stream_once(aws: LocalAws, log_group: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    shipper = LogShipper(path, aws, log_group, "stream")
    shipper.ship()
    path.write_text("one\n\ntwo\nthr")
    shipper.ship()
    assert messages(aws, log_group) == ["one", "two"]
    with path.open("a") as file:
        file.write("ee\n")
    shipper.ship()
    shipper.ship()
    assert messages(aws, log_group) == ["one", "two", "three"]


def test_too_many_lines_at_once_stay_in_the_file_and_are_counted(
    aws: LocalAws, log_group: str, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("line\n" * (MOST_LINES_PER_BATCH + 5))
    LogShipper(tmp_path / "log", aws, log_group, "stream").ship()
    stream = {"logGroupName": log_group, "logStreamName": "stream"}
    last = aws.call("logs", "get_log_events", **stream, limit=1)["events"][-1]
    assert last["message"] == "5 more lines are only in the task's log file"


def test_logs_that_are_refused_say_why_and_are_tried_again(
    aws: LocalAws, log_group: str, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("one\n")
    shipper = LogShipper(tmp_path / "log", aws, f"{log_group}/missing", "stream")
    shipper.ship()
    assert shipper.failure is not None
    assert "ResourceNotFoundException" in shipper.failure
    aws.call("logs", "create_log_group", logGroupName=f"{log_group}/missing")
    shipper.ship()
    assert shipper.failure is None
    assert messages(aws, f"{log_group}/missing") == ["one"]
