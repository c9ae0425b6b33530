"""The ECS agent with a small server as the container, on local AWS, beside a told load balancer."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.config import ROOT
from local.aws.client import LocalAws
from local.balancer.deployed import Target
from local.ecs.agent import EcsAgent
from local.ecs.credentials_endpoint import CredentialsEndpoint
from local.ecs.task import Machine
from local.processes import ProcessTable, wait_until

SERVER = (
    "import os, sys; from tests.local.backend import Backend; print('serving', flush=True);"
    " Backend(int(os.environ['GATEWAY_PORT'])).serve_forever()"
)
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SERVER


@dataclass
class ToldTargets:
    """A load balancer whose opinion the test sets."""

    unhealthy: set[Target] = field(default_factory=set)
    holds: bool = False

    def has_left(self, _target_group_arn: str, _target: Target) -> bool:
        return not self.holds

    def is_healthy(self, _target_group_arn: str, target: Target) -> bool | None:
        return target not in self.unhealthy


@dataclass
class Deployed:
    aws: LocalAws
    name: str
    agent: EcsAgent
    targets: ToldTargets
    target_group_arn: str
    clock: list[float]

    def update(self, **changes: Any) -> None:
        self.aws.call("ecs", "update_service", cluster=self.name, service="gateway", **changes)

    def settle(self) -> None:
        def settled() -> bool:
            self.agent.step()
            return self.agent.is_settled

        assert wait_until(settled, 15), (self.agent.last_failure, [task.state for task in self.agent.tasks])

    def registered_ports(self) -> set[int]:
        found = self.aws.call("elbv2", "describe_target_health", TargetGroupArn=self.target_group_arn)
        return {item["Target"]["Port"] for item in found["TargetHealthDescriptions"]}

    def running_ports(self) -> set[int]:
        return {task.target.port for task in self.agent.tasks if task.state == "RUNNING"}


def register(aws: LocalAws, name: str, program: str, **container: Any) -> str:
    """A task definition whose container runs a Python program."""
    role = f"arn:aws:iam::123456789012:role/{name}"
    definition = {
        "name": "gateway",
        "image": "none",
        "command": ["python", "-c", program],
        "environment": [{"name": "PYTHONPATH", "value": str(ROOT)}],
        "stopTimeout": 1,
        **container,
    }
    made = aws.call(
        "ecs", "register_task_definition", family=name, networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256", memory="512", taskRoleArn=role, executionRoleArn=role, containerDefinitions=[definition],
    )  # fmt: skip
    return str(made["taskDefinition"]["taskDefinitionArn"])


@pytest.fixture
def deployed(aws: LocalAws, unique: str, tmp_path: Path, processes: ProcessTable) -> Iterator[Deployed]:
    principal = {"Service": "ecs-tasks.amazonaws.com"}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.call("iam", "create_role", RoleName=unique, AssumeRolePolicyDocument=trust)
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = aws.call(
        "elbv2", "create_target_group", Name=unique, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip"
    )["TargetGroups"][0]["TargetGroupArn"]
    aws.call("ecs", "create_cluster", clusterName=unique)
    balancer = {"targetGroupArn": group, "containerName": "gateway", "containerPort": 8080}
    aws.call(
        "ecs", "create_service", cluster=unique, serviceName="gateway",
        taskDefinition=register(aws, unique, SERVER),
        desiredCount=2, loadBalancers=[balancer], launchType="FARGATE",
    )  # fmt: skip
    credentials, clock, targets = CredentialsEndpoint(), [0.0], ToldTargets()
    machine = Machine(aws, processes, credentials, tmp_path / "ca.pem", tmp_path / "logs", ROOT)
    agent = EcsAgent(machine, targets, lambda: clock[0], cluster_name=unique)
    yield Deployed(aws, unique, agent, targets, group, clock)
    credentials.close()
    aws.call("ecs", "delete_service", cluster=unique, service="gateway", force=True)


def test_as_many_tasks_run_and_are_registered_as_desired(deployed: Deployed) -> None:
    deployed.settle()
    assert len(deployed.running_ports()) == 2
    assert deployed.registered_ports() == deployed.running_ports()
    services, tasks = deployed.agent.observed()
    assert list(services.values()) == [{"running": 2, "pending": 0}]
    assert {task["lastStatus"] for task in tasks} == {"RUNNING"}


def test_a_killed_task_is_replaced_and_its_target_leaves(deployed: Deployed) -> None:
    deployed.settle()
    victim = deployed.agent.active[0]
    os.kill(victim.process.pid, signal.SIGKILL)
    assert wait_until(lambda: not victim.process.is_alive, 5)
    deployed.agent.step()
    deployed.clock[0] += 60
    deployed.settle()
    assert victim.target.port not in deployed.registered_ports()
    assert len(deployed.running_ports()) == 2
    assert victim.stopped_reason == "exited with code -9"


def test_the_desired_count_is_followed_up_and_down(deployed: Deployed) -> None:
    deployed.settle()
    oldest = deployed.agent.active[0]
    deployed.update(desiredCount=3)
    deployed.settle()
    assert len(deployed.running_ports()) == 3
    deployed.update(desiredCount=1)
    deployed.settle()
    assert deployed.running_ports() == {oldest.target.port} == deployed.registered_ports()


def test_a_new_definition_replaces_tasks_only_once_its_own_run(deployed: Deployed) -> None:
    deployed.settle()
    before = deployed.running_ports()
    arn = register(
        deployed.aws, deployed.name, SERVER, environment=[{"name": "PYTHONPATH", "value": str(ROOT)}]
    )
    deployed.update(taskDefinition=arn)
    deployed.agent.step()
    assert deployed.running_ports() == before
    deployed.settle()
    assert not deployed.running_ports() & before
    assert {task.definition.arn for task in deployed.agent.active} == {arn}


def test_a_task_drains_before_it_is_told_to_stop(deployed: Deployed) -> None:
    deployed.settle()
    deployed.targets.holds = True
    deployed.update(desiredCount=1)
    deployed.agent.step()
    leaving = next(task for task in deployed.agent.tasks if task.state == "DEACTIVATING")
    deployed.agent.step()
    with urllib.request.urlopen(f"http://127.0.0.1:{leaving.target.port}/x", timeout=5) as answer:
        assert answer.status == 200
    deployed.targets.holds = False
    deployed.settle()
    assert leaving.state == "STOPPED"


def test_a_task_that_does_not_stop_is_killed_after_its_stop_timeout(deployed: Deployed) -> None:
    deployed.update(taskDefinition=register(deployed.aws, deployed.name, DEAF), desiredCount=1)
    deployed.settle()
    deaf = deployed.agent.active[0]
    deployed.update(desiredCount=0)
    deployed.agent.step()
    deployed.agent.step()
    assert deaf.state == "STOPPING"
    deployed.clock[0] += 0.9
    deployed.agent.step()
    assert deaf.process.is_alive
    deployed.clock[0] += 0.2
    deployed.agent.step()
    assert (deaf.state, deaf.process.exit_code) == ("STOPPED", -signal.SIGKILL)


def test_a_target_that_fails_the_balancers_checks_is_replaced(deployed: Deployed) -> None:
    deployed.settle()
    bad = deployed.agent.active[0]
    deployed.targets.unhealthy.add(bad.target)
    deployed.clock[0] += 1
    deployed.agent.step()
    deployed.settle()
    assert bad.state == "STOPPED"
    assert "failed ELB health checks" in str(bad.stopped_reason)
    assert len(deployed.running_ports()) == 2


def test_tasks_that_die_at_once_are_started_ever_more_slowly(deployed: Deployed) -> None:
    deployed.update(
        taskDefinition=register(deployed.aws, deployed.name, "raise SystemExit(7)"), desiredCount=1
    )

    def died(times: int) -> bool:
        deployed.agent.step()
        return deployed.agent.failed_starts >= times

    assert wait_until(lambda: died(1), 10)
    deployed.agent.step()
    assert not deployed.agent.active
    deployed.clock[0] += 1
    assert wait_until(lambda: died(2), 10)
    deployed.clock[0] += 1
    deployed.agent.step()
    assert not deployed.agent.active, "the second pause is two seconds"
    assert "exited with code 7" in str(deployed.agent.last_failure)


def test_a_secret_that_the_execution_role_may_not_read_starts_nothing(deployed: Deployed) -> None:
    secret = deployed.aws.call(
        "secretsmanager", "create_secret", Name=f"{deployed.name}-s", SecretString="v"
    )["ARN"]
    secrets = [{"name": "PEPPER", "valueFrom": secret}]
    deployed.update(taskDefinition=register(deployed.aws, deployed.name, SERVER, secrets=secrets))
    deployed.agent.step()
    assert not deployed.agent.tasks
    assert "AccessDeniedException" in str(deployed.agent.last_failure)


def test_what_a_task_prints_is_in_its_log_stream(deployed: Deployed) -> None:
    group = f"/{deployed.name}"
    deployed.aws.call("logs", "create_log_group", logGroupName=group)
    statement = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    deployed.aws.call(
        "iam", "put_role_policy", RoleName=deployed.name, PolicyName="logs", PolicyDocument=policy
    )
    options = {"awslogs-group": group, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}
    logs = {"logDriver": "awslogs", "options": options}
    arn = register(deployed.aws, deployed.name, SERVER, logConfiguration=logs)
    deployed.update(taskDefinition=arn, desiredCount=1)
    deployed.settle()
    task = deployed.agent.active[0]

    def shipped() -> bool:
        deployed.agent.ship_logs()
        found = deployed.aws.call("logs", "filter_log_events", logGroupName=group)["events"]
        return [(e["logStreamName"], e["message"]) for e in found] == [(f"app/gateway/{task.id}", "serving")]

    assert wait_until(shipped, 5)
