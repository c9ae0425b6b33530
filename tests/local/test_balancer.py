"""A real Envoy, a real deployment on local AWS, and small real servers behind it."""

import ipaddress
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local.aws.client import LocalAws
from local.balancer.balancer import LoadBalancer
from local.balancer.deployed import Target
from local.certificates import CertificateAuthority
from local.processes import ProcessTable, wait_until
from tests.local.backend import Backend


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


@dataclass
class Deployment:
    """A load balancer on local AWS with one target group, and the Envoy that serves it."""

    aws: LocalAws
    balancer: LoadBalancer
    load_balancer_arn: str
    target_group_arn: str
    authority: CertificateAuthority
    backends: list[Backend] = field(default_factory=list)

    def listen(self, port: int, protocol: str, action: dict[str, Any]) -> str:
        certificate = {}
        if protocol == "HTTPS":
            arn = self.aws.call("acm", "request_certificate", DomainName="gateway.example.com")[
                "CertificateArn"
            ]
            certificate = {"Certificates": [{"CertificateArn": arn}]}
        made = self.aws.call(
            "elbv2", "create_listener", LoadBalancerArn=self.load_balancer_arn, Port=port, Protocol=protocol,
            DefaultActions=[action], **certificate,
        )  # fmt: skip
        return str(made["Listeners"][0]["ListenerArn"])

    @property
    def forward(self) -> dict[str, Any]:
        return {"Type": "forward", "TargetGroupArn": self.target_group_arn}

    def add_backend(self) -> Backend:
        backend = Backend().start()
        self.backends.append(backend)
        self._targets("register_targets", backend)
        self.balancer.step()
        assert wait_until(lambda: self.state_of(backend) == "healthy", 10)
        return backend

    def deregister(self, backend: Backend) -> None:
        self._targets("deregister_targets", backend)

    def state_of(self, backend: Backend) -> str | None:
        self.balancer.step()
        told = self.balancer.observed().get(self.target_group_arn, [])
        return next((item["state"] for item in told if item["port"] == backend.port), None)

    def get(self, path: str, port: int = 80, headers: dict[str, str] | None = None) -> Any:
        """The backend's answer; raises HTTPError for an error status or a redirect."""
        scheme = "https" if port == 443 else "http"
        context = ssl.create_default_context(cafile=str(self.authority.certificate_file))
        opener = urllib.request.build_opener(NoRedirect, urllib.request.HTTPSHandler(context=context))
        request = urllib.request.Request(  # noqa: S310 loopback
            f"{scheme}://127.0.0.1:{self.balancer.ports[port]}{path}", headers=headers or {}
        )
        with opener.open(request, timeout=10) as answer:
            return json.loads(answer.read())

    def _targets(self, operation: str, backend: Backend) -> None:
        target = {"Id": "127.0.0.1", "Port": backend.port}
        self.aws.call("elbv2", operation, TargetGroupArn=self.target_group_arn, Targets=[target])


Maker = Callable[..., Deployment]


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def deployment(aws: LocalAws, unique: str, tmp_path: Path, clock: list[float]) -> Iterator[Deployment]:
    """Not yet started: add listeners, then `balancer.start`."""
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        aws.call(
            "ec2", "create_subnet", VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"us-east-1{z}"
        )["Subnet"]["SubnetId"]
        for i, z in enumerate("ab")
    ]
    lb = aws.call("elbv2", "create_load_balancer", Name=unique, Subnets=subnets)["LoadBalancers"][0]
    group = aws.call(
        "elbv2", "create_target_group", Name=unique, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip",
        HealthCheckPath="/healthz", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2, UnhealthyThresholdCount=2, Matcher={"HttpCode": "200"},
    )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    attributes = {
        "load_balancing.algorithm.type": "least_outstanding_requests",
        "deregistration_delay.timeout_seconds": "60",
    }
    aws.call(
        "elbv2", "modify_target_group_attributes", TargetGroupArn=group,
        Attributes=[{"Key": k, "Value": v} for k, v in attributes.items()],
    )  # fmt: skip
    authority = CertificateAuthority(tmp_path / "certificates", unique)
    (tmp_path / "logs").mkdir()
    balancer = LoadBalancer(aws, tmp_path / "envoy", tmp_path / "logs", authority, lambda: clock[0], unique)
    made = Deployment(aws, balancer, lb["LoadBalancerArn"], group, authority)
    made.listen(80, "HTTP", made.forward)
    yield made
    for backend in made.backends:
        backend.stop()


@pytest.fixture
def serving(deployment: Deployment, processes: ProcessTable) -> Deployment:
    deployment.balancer.start(processes, ["gateway.example.com", "localhost", "127.0.0.1"])
    return deployment


def test_requests_carry_what_an_alb_adds(serving: Deployment) -> None:
    serving.add_backend()
    headers = serving.get("/x", headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "gopher"})[
        "headers"
    ]
    given, client = headers["x-forwarded-for"].split(",")
    assert given == "203.0.113.9"
    assert ipaddress.ip_address(client.strip())
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-port"] == str(serving.balancer.ports[80])
    assert headers["x-amzn-trace-id"].startswith("Root=1-")
    assert not [name for name in headers if name.startswith("x-envoy") or name == "x-request-id"]


def test_a_trace_id_that_came_along_is_kept(serving: Deployment) -> None:
    serving.add_backend()
    given = "Root=1-67891233-abcdef012345678912345678"
    told = serving.get("/x", headers={"X-Amzn-Trace-Id": given})["headers"]["x-amzn-trace-id"]
    assert told.startswith("Self=1-")
    assert told.endswith(";" + given)


def test_https_is_served_with_a_certificate_that_clients_can_verify(
    deployment: Deployment, processes: ProcessTable
) -> None:
    deployment.listen(443, "HTTPS", deployment.forward)
    deployment.balancer.start(processes, ["gateway.example.com", "localhost", "127.0.0.1"])
    deployment.add_backend()
    headers = deployment.get("/x", port=443)["headers"]
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-port"] == str(deployment.balancer.ports[443])


def test_a_redirect_leads_to_the_local_port_of_the_deployed_one(
    deployment: Deployment, processes: ProcessTable
) -> None:
    arn = deployment.aws.call("elbv2", "describe_listeners", LoadBalancerArn=deployment.load_balancer_arn)
    redirect = {
        "Type": "redirect",
        "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
    }
    deployment.aws.call(
        "elbv2", "modify_listener", ListenerArn=arn["Listeners"][0]["ListenerArn"], DefaultActions=[redirect]
    )
    deployment.listen(443, "HTTPS", deployment.forward)
    deployment.balancer.start(processes, ["localhost", "127.0.0.1"])
    with pytest.raises(urllib.error.HTTPError) as answer:
        deployment.get("/v1/models?limit=1")
    assert answer.value.code == 301
    port = deployment.balancer.ports[443]
    assert answer.value.headers["location"] == f"https://127.0.0.1:{port}/v1/models?limit=1"


def test_without_a_target_the_answer_is_503(serving: Deployment) -> None:
    with pytest.raises(urllib.error.HTTPError, match="503"):
        serving.get("/x")


def test_a_target_that_cannot_be_reached_answers_502(serving: Deployment) -> None:
    backend = serving.add_backend()
    backend.stop()
    serving.backends.clear()
    with pytest.raises(urllib.error.HTTPError, match="502"):
        serving.get("/x")


def test_a_target_that_fails_its_checks_gets_no_more_requests(serving: Deployment) -> None:
    failing, other = serving.add_backend(), serving.add_backend()
    failing.healthy = False
    assert wait_until(lambda: serving.state_of(failing) == "unhealthy", 20)
    before = failing.requests
    for _ in range(10):
        assert serving.get("/x")["port"] == other.port
    assert failing.requests == before


def test_requests_go_to_the_target_with_the_fewest_outstanding(serving: Deployment) -> None:
    ports = {serving.add_backend().port for _ in range(3)}
    slow: list[int] = []
    threads = [threading.Thread(target=lambda: slow.append(serving.get("/slow?2")["port"])) for _ in range(2)]
    for started, thread in enumerate(threads, start=1):
        thread.start()
        assert wait_until(lambda: serving.balancer.requests_in_flight() == started, 5)  # noqa: B023
    quick = {serving.get("/x")["port"] for _ in range(20)}
    for thread in threads:
        thread.join()
    assert quick == ports - set(slow)
    assert len(quick) == 1


def test_a_leaving_target_finishes_what_it_serves_and_gets_nothing_new(serving: Deployment) -> None:
    leaving, staying = serving.add_backend(), serving.add_backend()
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(serving.get("/slow?2")["port"])) for _ in range(2)
    ]
    for started, thread in enumerate(threads, start=1):
        thread.start()
        assert wait_until(lambda: serving.balancer.requests_in_flight() == started, 5)  # noqa: B023
    serving.deregister(leaving)
    assert serving.state_of(leaving) == "draining"
    assert not serving.balancer.has_left(serving.target_group_arn, Target("127.0.0.1", leaving.port))
    # What was told to Envoy takes effect when it says so.
    assert wait_until(
        lambda: serving.balancer.is_draining(serving.target_group_arn, Target("127.0.0.1", leaving.port)), 5
    )
    assert {serving.get("/x")["port"] for _ in range(8)} == {staying.port}
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted([leaving.port, staying.port])
    assert wait_until(lambda: serving.state_of(leaving) is None, 5)
    assert serving.balancer.has_left(serving.target_group_arn, Target("127.0.0.1", leaving.port))


def test_a_leaving_target_is_given_up_after_the_deregistration_delay(
    serving: Deployment, clock: list[float]
) -> None:
    leaving = serving.add_backend()
    held = threading.Thread(target=lambda: serving.get("/slow?2"))
    held.start()
    assert wait_until(lambda: serving.balancer.requests_in_flight() == 1, 5)
    serving.deregister(leaving)
    target = Target("127.0.0.1", leaving.port)
    serving.balancer.step()
    clock[0] = 59.9
    serving.balancer.step()
    assert not serving.balancer.has_left(serving.target_group_arn, target)
    clock[0] = 60.0
    serving.balancer.step()
    assert serving.balancer.has_left(serving.target_group_arn, target)
    held.join()


def test_a_rule_added_later_is_served_without_a_restart(serving: Deployment) -> None:
    serving.add_backend()
    listeners = serving.aws.call("elbv2", "describe_listeners", LoadBalancerArn=serving.load_balancer_arn)
    fixed = {
        "Type": "fixed-response",
        "FixedResponseConfig": {"StatusCode": "403", "ContentType": "application/json", "MessageBody": "{}"},
    }
    serving.aws.call(
        "elbv2", "create_rule", ListenerArn=listeners["Listeners"][0]["ListenerArn"], Priority=1,
        Actions=[fixed],
        Conditions=[{"Field": "path-pattern", "Values": ["/admin/*"]}],
    )  # fmt: skip
    serving.balancer.reload()

    def refused() -> bool:
        try:
            serving.get("/admin/keys")
        except urllib.error.HTTPError as error:
            return error.code == 403 and error.headers["content-type"] == "application/json"
        return False

    assert wait_until(refused, 5)
    assert serving.get("/administration")["path"] == "/administration"


def test_an_envoy_that_died_comes_back_on_its_ports(serving: Deployment, processes: ProcessTable) -> None:
    backend = serving.add_backend()
    port = serving.balancer.ports[80]
    pid = next(item["pid"] for item in processes.listed() if item["name"] == "balancer")
    processes.find(pid).kill()
    assert serving.balancer.revive(processes) == ["balancer"]
    assert serving.balancer.ports[80] == port
    assert wait_until(lambda: serving.state_of(backend) == "healthy", 5)
    assert serving.get("/x")["port"] == backend.port
