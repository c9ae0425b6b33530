"""What ECS says of a deployment decides whether `pulumi up` succeeds."""

import asyncio
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from infra.verify import DeploymentError, Expected, judge, patience_s, short, verify
from infra.verifying import as_deployed, verify_deployments

FAMILY = "arn:aws:ecs:us-east-1:123456789012:task-definition/openai-gateway-prod"
OLD, NEW = f"{FAMILY}:6", f"{FAMILY}:7"
EXPECTED = Expected("cluster", "gateway", NEW, "/openai-gateway-prod/gateway")
BREAKER = "ECS deployment circuit breaker: tasks failed to start."


def deployment(
    definition: str, status: str, state: str, running: int = 0, reason: str = ""
) -> dict[str, Any]:
    return {
        "taskDefinition": definition,
        "status": status,
        "rolloutState": state,
        "rolloutStateReason": reason,
        "runningCount": running,
        "desiredCount": 3,
    }


def service(*deployments: dict[str, Any], status: str = "ACTIVE") -> dict[str, Any]:
    events = [{"message": f"event {number}"} for number in range(1, 6)]
    return {"status": status, "deployments": list(deployments), "events": events}


class FakeEcs:
    """An ECS whose service passes through `looks`, one a call, and stays at the last."""

    def __init__(self, *looks: dict[str, Any] | None, stopped: int = 0) -> None:
        self.looks = list(looks)
        self.asked = 0
        self.stopped = stopped

    def describe_services(self, *, cluster: str, services: list[str]) -> dict[str, Any]:
        assert (cluster, services) == ("cluster", ["gateway"])
        look = self.looks[min(self.asked, len(self.looks) - 1)]
        self.asked += 1
        return {"services": [look] if look else []}

    def list_tasks(self, *, cluster: str, serviceName: str, desiredStatus: str) -> dict[str, Any]:  # noqa: N803
        assert (cluster, serviceName, desiredStatus) == ("cluster", "gateway", "STOPPED")
        return {"taskArns": [f"task/{number}" for number in range(self.stopped)]}

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> dict[str, Any]:
        assert cluster == "cluster"
        broken = {
            "taskDefinitionArn": NEW,
            "stoppedReason": "Essential container in task exited",
            "containers": [{"name": "gateway", "exitCode": 2}],
        }
        replaced = {"taskDefinitionArn": OLD, "stoppedReason": "Scaling activity"}
        return {"tasks": [broken] * (len(tasks) - 1) + [replaced]}


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def run(ecs: FakeEcs, longest_s: float = 600) -> tuple[str, list[str]]:
    clock = Clock()
    told: list[str] = []
    return verify(ecs, EXPECTED, longest_s, told.append, clock, clock.sleep), told


ROLLING = service(
    deployment(NEW, "PRIMARY", "IN_PROGRESS", running=1), deployment(OLD, "ACTIVE", "COMPLETED", running=3)
)
DONE = service(deployment(NEW, "PRIMARY", "COMPLETED", running=3))
ROLLED_BACK = service(
    deployment(OLD, "PRIMARY", "IN_PROGRESS", running=3), deployment(NEW, "ACTIVE", "FAILED", reason=BREAKER)
)


def test_a_deployment_that_completes_is_told_step_by_step() -> None:
    last, told = run(FakeEcs(ROLLING, ROLLING, DONE))
    assert last == "3 of 3 tasks of openai-gateway-prod:7 run, the deployment is complete"
    assert told == ["1 of 3 tasks of openai-gateway-prod:7 run, the deployment is in progress"]


def test_a_deployment_that_ecs_rolls_back_fails_with_ecs_reason_and_the_tasks() -> None:
    with pytest.raises(DeploymentError) as caught:
        run(FakeEcs(ROLLING, ROLLING, ROLLED_BACK, stopped=4))
    assert str(caught.value).splitlines() == [
        "The deployment of openai-gateway-prod:7 was rolled back, openai-gateway-prod:6 runs instead: "
        + BREAKER,
        "Its tasks stopped:",
        "  3 x Essential container in task exited, gateway exited with 2",
        "ECS says last:",
        "  event 1",
        "  event 2",
        "  event 3",
        "Read on: aws logs tail /openai-gateway-prod/gateway --since 30m",
    ]


def test_a_rollback_is_seen_after_ecs_has_forgotten_the_failed_deployment() -> None:
    with pytest.raises(DeploymentError, match="openai-gateway-prod:6 runs instead"):
        run(FakeEcs(service(deployment(OLD, "PRIMARY", "COMPLETED", running=3))))


def test_a_first_deployment_has_nothing_to_roll_back_to_and_fails_with_the_reason() -> None:
    with pytest.raises(DeploymentError, match=r"failed, 0 of 3 tasks .* run: ECS deployment circuit breaker"):
        run(FakeEcs(service(deployment(NEW, "PRIMARY", "FAILED", reason=BREAKER))))


@pytest.mark.parametrize(("found", "told"), [(None, "gone"), (service(status="DRAINING"), "DRAINING")])
def test_a_service_that_is_not_there_fails(found: dict[str, Any] | None, told: str) -> None:
    with pytest.raises(DeploymentError, match=f"The service is {told}"):
        run(FakeEcs(found))


def test_patience_ends_and_says_how_far_it_came() -> None:
    with pytest.raises(DeploymentError, match=r"After 60 s 1 of 3 tasks .* in progress; ECS goes on trying"):
        run(FakeEcs(ROLLING), longest_s=60)


def test_ecs_is_not_asked_too_often() -> None:
    ecs = FakeEcs(ROLLING)
    with pytest.raises(DeploymentError):
        run(ecs, longest_s=600)
    assert ecs.asked < 70


def test_a_deployment_may_drain_what_it_replaces() -> None:
    assert patience_s(3600, 120) > 3600 + 120


def test_a_service_without_a_rollout_state_is_steady() -> None:
    one = {"taskDefinition": NEW, "status": "PRIMARY", "runningCount": 1, "desiredCount": 1}
    assert judge(service(one), NEW).state == "steady"
    assert judge(service(one), "openai-gateway-prod:7").state == "steady"
    assert short(NEW) == "openai-gateway-prod:7"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeEcs], None]:
    """The hook, run as the engine runs it after the service changed."""
    registered: list[Any] = []

    class Hook:
        def __init__(self, name: str, callback: Any, opts: Any = None) -> None:
            assert opts is None, f"{name}: a hook with options might run during a preview"
            registered.append(callback)

    class Session:
        def __init__(self, region_name: str) -> None:
            assert region_name == "us-west-2"

        def client(self, name: str) -> FakeEcs:
            assert name == "ecs"
            return asked[0]

    asked: list[FakeEcs] = []
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    monkeypatch.setattr(pulumi.log, "info", lambda _: None)
    monkeypatch.setattr("infra.verifying.boto3.Session", Session)

    def run_hook(ecs: FakeEcs) -> None:
        asked.append(ecs)
        binding = verify_deployments("us-west-2", "/openai-gateway-prod/gateway", 60)
        assert binding.after_create == binding.after_update
        outputs = {"cluster": "cluster", "name": "gateway", "taskDefinition": NEW}
        arguments = pulumi.ResourceHookArgs(
            "urn", "id", "service", "aws:ecs/service:Service", new_outputs=outputs
        )
        asyncio.run(registered[0](arguments))

    return run_hook


def test_the_hook_lets_a_good_deployment_pass(hook: Callable[[FakeEcs], None]) -> None:
    hook(FakeEcs(DONE))


def test_the_hook_raises_when_ecs_rolled_back_so_that_the_update_fails(
    hook: Callable[[FakeEcs], None],
) -> None:
    with pytest.raises(DeploymentError, match="was rolled back"):
        hook(FakeEcs(ROLLED_BACK))


def test_an_update_without_changes_fails_while_what_was_deployed_does_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert as_deployed(NEW, NEW) == as_deployed(NEW, "openai-gateway-prod:7") == NEW
    with pytest.raises(pulumi.RunError, match=r"runs openai-gateway-prod:6, .*pulumi up --refresh"):
        as_deployed(OLD, NEW)
    warned: list[str] = []
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    assert as_deployed(OLD, NEW) == OLD
    assert len(warned) == 1
