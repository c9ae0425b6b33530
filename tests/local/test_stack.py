"""A whole stack: what `python -m local` promises, tried on the staging stack as it is committed."""

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
import redis
from botocore.exceptions import ClientError

from infra.config import ROOT
from local.aws.client import Credentials, LocalAws
from local.processes import wait_until
from local.state import PUBLIC_KEYS
from tests.local.conftest import RunningStack, run_local


def call(stack: RunningStack, path: str, key: str | None = None, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of a request through the load balancer."""
    facts = stack.facts["gateway"]
    context = ssl.create_default_context(cafile=facts["ca_file"]) if facts["ca_file"] else None
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(facts["base_url"] + path, data, headers)  # noqa: S310 loopback
    try:
        with urllib.request.urlopen(request, timeout=15, context=context) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def chat(stack: RunningStack, text: str = "hello") -> int:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    return call(stack, "/chat/completions", stack.facts["api_key"], body)[0]


def of_folder(folder: Path) -> list[psutil.Process]:
    """Every process that names the folder in its command, or sits in a session that one of those leads."""
    named = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in part for part in process.cmdline()):
                named.append(process)
        except psutil.NoSuchProcess:
            continue
    return [process for process in named if process.pid != os.getpid()]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_pids(state: dict[str, Any]) -> list[int]:
    return [state["supervisor"]["pid"], *(component["pid"] for component in state["components"])]


def test_up_prints_the_object_that_is_promised(stack: RunningStack) -> None:
    assert tuple(stack.facts) == PUBLIC_KEYS
    assert stack.facts["state"] == "running"
    assert stack.facts["gateway"]["base_url"].endswith("/v1")
    assert stack.facts["gateway"]["ca_file"] is None
    assert [task["health"] for task in stack.facts["tasks"]] == ["healthy"]
    assert stack.facts["api_key"].startswith("sk-")
    assert stack.facts["admin_key"].startswith("sk-")


def test_a_request_is_answered_with_the_key_and_refused_without(stack: RunningStack) -> None:
    assert chat(stack) == 200
    body = {"model": "gpt-4o-mini", "messages": []}
    assert call(stack, "/chat/completions", "sk-gw-" + "x" * 43, body)[0] == 401


def test_the_admin_key_administers_by_the_official_sdk(stack: RunningStack) -> None:
    gateway, admin_key = stack.facts["gateway"], stack.facts["admin_key"]
    client = openai.OpenAI(base_url=gateway["base_url"], api_key="not-sent", admin_api_key=admin_key)
    projects = client.admin.organization.projects
    assert [project.name for project in projects.list()] == ["First project"]
    assert call(stack, "/chat/completions", admin_key, {"model": "gpt-4o-mini", "messages": []})[0] == 403


def test_status_prints_the_same_object(stack: RunningStack) -> None:
    done = run_local(stack.folder, "status", "staging", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == stack.facts


def test_a_second_up_changes_nothing_and_prints_the_same_object(stack: RunningStack) -> None:
    before = all_pids(stack.state())
    done = run_local(stack.folder, "up", "staging", "--json")
    assert done.returncode == 0
    assert "already up" in done.stderr
    assert json.loads(done.stdout) == stack.facts
    assert all_pids(stack.state()) == before


def test_an_up_with_other_settings_is_told_to_go_down_first(stack: RunningStack) -> None:
    done = run_local(stack.folder, "up", "staging", "--config", "min_tasks=2")
    assert done.returncode == 2
    assert "local down staging" in done.stderr
    assert len(stack.state()["tasks"]) == 1


def test_what_holds_keys_is_readable_by_its_owner_only(stack: RunningStack) -> None:
    folder = stack.folder / "staging"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "state.json").stat().st_mode) == 0o600


def test_no_log_holds_a_key_or_secret(stack: RunningStack) -> None:
    outputs = stack.state()["outputs"]
    secrets = [stack.facts["admin_key"], stack.facts["api_key"]]
    for name in ("pepper", "cache", "openai"):
        found = stack.aws.call("secretsmanager", "get_secret_value", SecretId=outputs[f"{name}_secret_arn"])
        secrets.append(found["SecretString"])
    secrets[3] = json.loads(secrets[3])["password"]
    for path in [*(stack.folder / "staging" / "logs").iterdir(), stack.folder / "staging" / "progress.jsonl"]:
        text = path.read_text()
        assert not [secret[:4] for secret in secrets if secret in text], path


def test_logs_are_printed_with_the_name_of_what_wrote_them(stack: RunningStack) -> None:
    task = f"task-{stack.state()['tasks'][0]['id'][:8]}"
    assert chat(stack, "for the log") == 200
    done = run_local(stack.folder, "logs", "staging", "--only", task)
    assert all(line.startswith(f"{task} | ") for line in done.stdout.splitlines())
    assert "/v1/chat/completions" in done.stdout
    unknown = run_local(stack.folder, "logs", "staging", "--only", "nope")
    assert unknown.returncode == 1
    assert "local-aws" in unknown.stderr


def test_local_aws_tells_what_runs(stack: RunningStack) -> None:
    outputs, aws = stack.state()["outputs"], stack.aws
    where = {"cluster": outputs["cluster_name"]}
    service = aws.call("ecs", "describe_services", **where, services=[outputs["service_name"]])["services"][0]
    assert (service["desiredCount"], service["runningCount"], service["pendingCount"]) == (1, 1, 0)
    arns = aws.call("ecs", "list_tasks", **where, serviceName=outputs["service_name"])["taskArns"]
    assert [arn.rpartition("/")[2] for arn in arns] == [task["id"] for task in stack.state()["tasks"]]
    group = service["loadBalancers"][0]["targetGroupArn"]
    health = aws.call("elbv2", "describe_target_health", TargetGroupArn=group)["TargetHealthDescriptions"]
    ports = [task["port"] for task in stack.state()["tasks"]]
    assert [(t["Target"]["Port"], t["TargetHealth"]["State"]) for t in health] == [
        (p, "healthy") for p in ports
    ]


def as_task_role(stack: RunningStack, kind: str) -> LocalAws:
    """Local AWS as one of the deployed task's roles."""
    aws, outputs = stack.aws, stack.state()["outputs"]
    where = {"cluster": outputs["cluster_name"], "services": [outputs["service_name"]]}
    service = aws.call("ecs", "describe_services", **where)["services"][0]
    found = aws.call("ecs", "describe_task_definition", taskDefinition=service["taskDefinition"])
    arn = found["taskDefinition"][kind]
    given = aws.call("sts", "assume_role", RoleArn=arn, RoleSessionName="test")["Credentials"]
    credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return LocalAws(aws.endpoint_url, aws.region, credentials)


@pytest.mark.parametrize(
    ("kind", "readable"), [("taskRoleArn", {"openai", "cache"}), ("executionRoleArn", {"pepper"})]
)
def test_each_role_reads_its_own_secrets_and_no_other(
    stack: RunningStack, kind: str, readable: set[str]
) -> None:
    as_role, outputs = as_task_role(stack, kind), stack.state()["outputs"]

    def reads(name: str) -> bool:
        try:
            as_role.call("secretsmanager", "get_secret_value", SecretId=outputs[f"{name}_secret_arn"])
        except ClientError as error:
            return error.response["Error"]["Code"] != "AccessDeniedException"
        return True

    assert {name for name in ("openai", "pepper", "owner", "cache") if reads(name)} == readable


def test_a_task_that_is_killed_comes_back(stack: RunningStack) -> None:
    before = stack.state()["tasks"][0]
    os.kill(before["pid"], signal.SIGKILL)

    def replaced() -> bool:
        tasks = stack.state()["tasks"]
        return len(tasks) == 1 and tasks[0]["id"] != before["id"] and tasks[0]["health"] == "healthy"

    assert wait_until(replaced, 20)
    assert wait_until(lambda: chat(stack) == 200, 10)
    # The facts that the fixture keeps are those of the stack as it is now.
    stack.facts["tasks"] = stack.state()["tasks"]


def test_the_desired_count_is_followed(stack: RunningStack) -> None:
    outputs = stack.state()["outputs"]
    where = {"cluster": outputs["cluster_name"], "service": outputs["service_name"]}

    def healthy(count: int) -> bool:
        return [task["health"] for task in stack.state()["tasks"]] == ["healthy"] * count

    stack.aws.call("ecs", "update_service", **where, desiredCount=3)
    assert wait_until(lambda: healthy(3), 20)
    stack.aws.call("ecs", "update_service", **where, desiredCount=1)
    assert wait_until(lambda: healthy(1), 20)
    stack.facts["tasks"] = stack.state()["tasks"]


def test_the_caches_password_can_be_changed_while_it_runs(stack: RunningStack) -> None:
    outputs = stack.state()["outputs"]
    secret = {"SecretId": outputs["cache_secret_arn"]}
    held = json.loads(stack.aws.call("secretsmanager", "get_secret_value", **secret)["SecretString"])
    ca_file = str(stack.folder / "staging" / "certificates" / "ca.pem")
    host, port = outputs["cache_endpoint"].split(":")

    def logs_in(password: str) -> bool:
        with redis.Redis(
            host=host, port=int(port), ssl=True, ssl_ca_certs=ca_file, username="gateway", password=password
        ) as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return False

    assert logs_in(held["password"])
    changed = "another-password-of-the-cache"
    stack.aws.call(
        "elasticache", "modify_user", UserId=outputs["cache_user_id"], Passwords=[changed, held["password"]]
    )
    assert wait_until(lambda: logs_in(changed), 10)
    assert logs_in(held["password"])
    stack.aws.call(
        "elasticache", "modify_user", UserId=outputs["cache_user_id"], Passwords=[held["password"]]
    )


@pytest.mark.parametrize("component", ["balancer", "cache-proxy", "valkey", "stand-in"])
def test_a_component_that_dies_is_started_again(stack: RunningStack, component: str) -> None:
    before = stack.pid_of(component)
    os.kill(before, signal.SIGKILL)
    assert wait_until(
        lambda: any(c["name"] == component and c["pid"] != before for c in stack.state()["components"]), 10
    )
    assert wait_until(lambda: chat(stack, f"after {component}") == 200, 15)


def test_nothing_the_caller_has_in_its_environment_reaches_a_task(stack: RunningStack) -> None:
    environment = psutil.Process(stack.state()["tasks"][0]["pid"]).environ()
    assert not environment.keys() & {"HOME", "AWS_ACCESS_KEY_ID", "OPENAI_API_KEY", "PYTEST_CURRENT_TEST"}
    assert environment["GATEWAY_HOST"] == "127.0.0.1"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Of stacks that a test starts itself."""
    yield tmp_path / "stacks"
    run_local(tmp_path / "stacks", "down", "prod")
    run_local(tmp_path / "stacks", "down", "staging")


def test_production_runs_beside_staging_and_serves_https(stack: RunningStack, folder: Path) -> None:
    done = run_local(folder, "up", "prod", "--json", "--config", "min_tasks=2")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "hosted zone example.com" in done.stderr
    prod = RunningStack("prod", folder, json.loads(done.stdout))
    assert prod.facts["gateway"]["base_url"].startswith("https://127.0.0.1:")
    assert len(prod.facts["tasks"]) == 2
    assert chat(prod) == 200
    assert chat(stack) == 200
    pids = all_pids(prod.state())
    assert run_local(folder, "down", "prod").returncode == 0
    assert not [pid for pid in pids if alive(pid)]
    assert of_folder(folder) == []
    assert chat(stack) == 200
    again = run_local(folder, "down", "prod")
    assert (again.returncode, "was not running" in again.stderr) == (0, True)
    assert not list((folder / "prod" / "certificates").iterdir())


def test_what_a_killed_supervisor_left_is_cleared_and_a_new_up_works(folder: Path) -> None:
    first = run_local(folder, "up", "staging", "--json")
    assert first.returncode == 0, first.stderr[-3000:]
    state = RunningStack("staging", folder, json.loads(first.stdout)).state()
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    assert wait_until(lambda: not alive(state["supervisor"]["pid"]), 5)
    status = run_local(folder, "status", "staging", "--json")
    assert status.returncode == 3
    assert json.loads(status.stdout)["state"] == "failed"
    second = run_local(folder, "up", "staging", "--json")
    assert second.returncode == 0, second.stderr[-3000:]
    assert not [pid for pid in all_pids(state) if alive(pid)]
    assert chat(RunningStack("staging", folder, json.loads(second.stdout))) == 200


def test_an_interrupted_up_leaves_nothing_running(folder: Path) -> None:
    command = [sys.executable, "-m", "local", "up", "staging", "--folder", str(folder)]
    up = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    state = folder / "staging" / "state.json"
    assert wait_until(lambda: state.exists() and len(of_folder(folder)) >= 3, 20)
    up.send_signal(signal.SIGINT)
    printed, _ = up.communicate(timeout=30)
    assert up.returncode == 130
    assert "nothing is left running" in printed
    assert of_folder(folder) == []


def test_an_up_that_fails_says_why_and_leaves_nothing_running(folder: Path) -> None:
    done = run_local(folder, "up", "prod", "--config", "hosted_zone_name=", "--config", "domain_name=")
    assert done.returncode == 2
    assert "pulumi config set" in done.stderr
    assert of_folder(folder) == []


def test_an_upstream_without_a_key_is_refused_before_anything_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = run_local(folder, "up", "staging", "--upstream", "http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert "OPENAI_API_KEY" in done.stderr
    assert not folder.exists()
