"""All parts of a stack on this machine: started in order, moved on together, stopped together."""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.config import StackConfig, load_file
from local.autoscaler import Autoscaler, cpu_seconds
from local.aws import exchange
from local.aws.client import LocalAws
from local.balancer.balancer import LoadBalancer
from local.cache.cache import LocalCache
from local.certificates import CertificateAuthority
from local.components import Components, StartError
from local.deploy import read_outputs, write_request
from local.ecs.agent import EcsAgent
from local.ecs.credentials_endpoint import CredentialsEndpoint
from local.ecs.task import Machine
from local.gateway import Gateway, first_keys
from local.ports import free_port
from local.processes import ProcessTable, wait_until
from local.progress import Progress
from local.state import StackFolder, UpRequest
from local.verification import verify_deployment

HEALTHY_TIMEOUT_S = 60
MOST_FAILED_STARTS = 2
START_INTERVAL_S = 0.05
IDLE_TASK_GRACE_S = 0.5
TASK_GRACE_S = 10
"""How long a stack that goes down waits for its tasks: shortly, and longer while they serve requests."""

COMPONENT_GRACE_S = 3
SLOW_CHECK_EVERY_S = 2.0


class Runtime:
    """The parts of one stack. Used from one thread, which starts all processes."""

    def __init__(self, folder: StackFolder, request: UpRequest, progress: Progress, root: Path) -> None:
        self._folder = folder
        self._request = request
        self._progress = progress
        self._root = root
        self._table = ProcessTable(folder.processes)
        self._components = Components(folder, self._table, root)
        self._agent: EcsAgent | None = None
        self._balancer: LoadBalancer | None = None
        self._cache: LocalCache | None = None
        self._autoscaler: Autoscaler | None = None
        self._credentials: CredentialsEndpoint | None = None
        self._observed: dict[str, Any] = {}
        self._slow_check_at = 0.0

    def start(self, openai_key: str) -> dict[str, Any]:
        """Starts everything and returns what a user needs; the names are StackState's.

        openai_key: what the tasks send upstream. Raises StartError and the errors of the parts.
        """
        authority = CertificateAuthority(self._folder.certificates, self._folder.stack)
        cache_port = free_port()
        stand_in_url = None if self._request.upstream else self._components.start_stand_in()
        request = self._with_upstream(self._request.upstream or stand_in_url)
        config = load_file(self._folder.stack, request.config)
        aws = self._deploy(request, config, cache_port, openai_key)
        with self._step("cache serves TLS with the deployed users"):
            self._cache = LocalCache(aws, self._folder, self._table, authority)
            self._cache.start()
        with self._step("load balancer serves the deployed listeners"):
            hosts = [name for name in (config.domain_name, "localhost", "127.0.0.1") if name]
            self._balancer = LoadBalancer(aws, self._folder.balancer, self._folder.logs, authority)
            self._balancer.start(self._table, hosts)
        self._credentials = CredentialsEndpoint()
        trust_store = authority.write_trust_store()
        machine = Machine(aws, self._table, self._credentials, trust_store, self._folder.logs, self._root)
        self._agent = EcsAgent(machine, self._balancer)
        self._autoscaler = Autoscaler(aws)
        gateway = Gateway.of(self._balancer, authority.certificate_file)
        with self._step("tasks are healthy behind the load balancer"):
            self._wait_until_healthy(self._agent, gateway)
        outputs = read_outputs(self._folder)
        with self._step("ECS runs the task definition that was deployed"):
            verify_deployment(aws, outputs)
        with self._step("owner's key, and a first project with a key"):
            admin_key, api_key = first_keys(aws, outputs)
        return {
            "gateway": {"base_url": gateway.base_url, "ca_file": gateway.ca_file},
            "dashboard_url": outputs["dashboard_url"],
            "admin_key": admin_key,
            "api_key": api_key,
            "aws": {"endpoint_url": aws.endpoint_url, "region": aws.region},
            "stand_in": {"base_url": stand_in_url} if stand_in_url else None,
            "outputs": outputs,
        }

    def step(self) -> None:
        """Looks at everything once, and does what is due."""
        agent, balancer, cache, autoscaler = self._agent, self._balancer, self._cache, self._autoscaler
        if agent is None or balancer is None or cache is None or autoscaler is None:
            return
        agent.step()
        balancer.step()
        self._tell_observed(agent, balancer)
        self._sample(agent, balancer, autoscaler)
        if agent.service is not None:
            autoscaler.step(agent.service)
        if time.monotonic() >= self._slow_check_at:
            self._slow_check_at = time.monotonic() + SLOW_CHECK_EVERY_S
            cache.step()
            balancer.reload()

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way, so that looking less often will do."""
        return self._agent is not None and self._agent.is_settled

    def revive(self) -> list[str]:
        """Restarts what died and can be restarted; returns what was. Raises StartError for what cannot."""
        self._components.check()
        revived = []
        if self._cache is not None:
            revived += self._cache.revive()
        if self._balancer is not None:
            revived += self._balancer.revive(self._table)
        return revived

    def describe(self) -> dict[str, Any]:
        """Tasks, components and scaling, by the names of StackState."""
        scaling = self._autoscaler.scaling if self._autoscaler else None
        return {
            "tasks": [self._task(task) for task in self._agent.tasks if task.state != "STOPPED"]
            if self._agent
            else [],
            "components": self._table.listed(),
            "scaling": dataclasses.asdict(scaling) if scaling else None,
            "last_failure": self._agent.last_failure if self._agent else None,
        }

    def stop(self) -> None:
        """Ends everything: tasks first, with the requests under way, while what they use still answers."""
        tasks = [task.process for task in self._agent.tasks if task.process.is_alive] if self._agent else []
        for process in tasks:
            process.terminate()
        wait_until(lambda: not any(process.is_alive for process in tasks), IDLE_TASK_GRACE_S)
        wait_until(lambda: not any(p.is_alive for p in tasks) or not self._in_flight(), TASK_GRACE_S)
        self._table.stop_all(COMPONENT_GRACE_S)
        if self._credentials is not None:
            self._credentials.close()

    def _in_flight(self) -> int:
        """Requests that the load balancer waits for."""
        try:
            return self._balancer.requests_in_flight() if self._balancer else 0
        except OSError:
            return 0

    def _with_upstream(self, base_url: str | None) -> UpRequest:
        config: Mapping[str, str] = {**self._request.config, "openai_base_url": base_url or ""}
        return dataclasses.replace(self._request, config=dict(config))

    def _deploy(self, request: UpRequest, config: StackConfig, cache_port: int, openai_key: str) -> LocalAws:
        write_request(self._folder, request, self._progress.started_at)
        with self._step("local AWS answers"):
            self._components.start_aws(cache_port)
            deployment = self._components.start_deployment(openai_key)
            endpoint_url = self._components.wait_for_aws()
        self._components.wait_for_stand_in()
        self._components.wait_for_deployment(deployment)
        return LocalAws(endpoint_url, config.region)

    def _wait_until_healthy(self, agent: EcsAgent, gateway: "Gateway") -> None:
        deadline = time.monotonic() + HEALTHY_TIMEOUT_S
        answer = "no task runs yet"
        while time.monotonic() < deadline:
            self.step()
            if agent.failed_starts >= MOST_FAILED_STARTS:
                raise StartError(f"tasks do not start: {agent.last_failure}\n{self._tail(agent)}")
            if agent.is_settled and self._all_targets_healthy(agent):
                answer = gateway.readiness()
                if answer == "ready":
                    return
            time.sleep(START_INTERVAL_S)
        failure = f" Last: {agent.last_failure}." if agent.last_failure else ""
        raise StartError(f"not healthy after {HEALTHY_TIMEOUT_S} s: {answer}.{failure}\n{self._tail(agent)}")

    def _all_targets_healthy(self, agent: EcsAgent) -> bool:
        if agent.service is None or agent.service.target_group_arn is None or self._balancer is None:
            return False
        arn = agent.service.target_group_arn
        return all(self._balancer.is_healthy(arn, task.target) for task in agent.active)

    def _tell_observed(self, agent: EcsAgent, balancer: LoadBalancer) -> None:
        services, tasks = agent.observed()
        observed = {"targets": balancer.observed(), "services": services, "tasks": tasks}
        if observed != self._observed:
            exchange.write_observed(self._folder.exchange, observed)
            self._observed = observed

    def _sample(self, agent: EcsAgent, balancer: LoadBalancer, autoscaler: Autoscaler) -> None:
        running = [task for task in agent.tasks if task.state == "RUNNING"]
        arn = agent.service.target_group_arn if agent.service else None
        seen = balancer.health(arn) if arn else {}
        autoscaler.observe(
            requests=balancer.requests_served,
            cpu_s=cpu_seconds([task.process.pid for task in running]),
            targets=sum(health.healthy for health in seen.values()),
            cpu_units=sum(task.definition.cpu for task in running),
            in_flight=sum(health.active for health in seen.values()),
        )

    def _task(self, task: Any) -> dict[str, Any]:
        health = "starting"
        if not task.is_active:
            health = "draining" if task.state == "DEACTIVATING" else "stopping"
        elif self._balancer is not None and self._agent is not None and self._agent.service is not None:
            healthy = self._balancer.is_healthy(self._agent.service.target_group_arn or "", task.target)
            health = {True: "healthy", False: "unhealthy", None: "starting"}[healthy]
        return {"id": task.id, "port": task.target.port, "pid": task.process.pid, "health": health}

    def _tail(self, agent: EcsAgent) -> str:
        tasks = agent.tasks[-1:]
        return self._components.tail(tasks[0].process.log_path) if tasks else ""

    @contextmanager
    def _step(self, text: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._progress.tell("step", text, time.monotonic() - started)
