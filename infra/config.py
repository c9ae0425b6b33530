"""A stack's config: read once, checked whole, frozen.

The keys, their types, defaults and descriptions are declared in `Pulumi.yaml`; each stack's values stand in
`Pulumi.<stack>.yaml`. `load` reads what the engine hands to a running program, `load_file` the same two
files offline, so that a stack can be checked, tested and run on one machine without the engine.
"""

import difflib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import pulumi
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from infra.config_types import (
    FARGATE_MEMORY_MIB,
    Boolean,
    CacheNodeType,
    DeploymentRoutingChoice,
    Email,
    EnvironmentName,
    GithubProviderMode,
    Integer,
    LogRetentionDays,
    ModelAliases,
    ModelPrices,
    NatGatewayMode,
    NetworkChoice,
    OpenAIBaseUrl,
    OptionalDigest,
    OptionalFqdn,
    OptionalVpcId,
    RepositoryName,
    ScheduledFloors,
    SecretRecoveryDays,
    SubnetIds,
    TagValue,
    TaskCpu,
    TimeZone,
    UsRegion,
    VpcCidr,
    listed,
    nearest,
    refuse,
)
from infra.schedule import EXAMPLE as SCHEDULE_EXAMPLE
from infra.schedule import Floor
from infra.streaming import LONGEST_STREAM_S, StreamingBudget, streaming_budget

ROOT = Path(__file__).resolve().parent.parent
REGION_KEY = "aws:region"


class StackConfig(BaseModel):
    """Everything that tells one stack from another. Keys are described in `Pulumi.yaml`.

    Fields that depend on others stand below them: a validator sees only what was valid above it, so every
    problem of a config is found in one pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    project: str
    stack: str
    region: UsRegion
    environment: EnvironmentName
    owner: Email
    cost_center: TagValue
    repository: RepositoryName
    github_oidc_provider: GithubProviderMode
    monthly_budget_usd: Annotated[Integer, Field(ge=1, le=10_000_000)]

    network: NetworkChoice
    vpc_cidr: VpcCidr
    availability_zones: Annotated[Integer, Field(ge=2, le=3)]
    nat_gateways: NatGatewayMode
    interface_endpoints: Boolean
    vpc_id: OptionalVpcId
    public_subnet_ids: SubnetIds
    private_subnet_ids: SubnetIds
    isolated_subnet_ids: SubnetIds

    domain_name: OptionalFqdn
    hosted_zone_name: OptionalFqdn
    allow_plaintext_http: Boolean
    longest_stream_s: Annotated[Integer, Field(ge=LONGEST_STREAM_S.start, le=LONGEST_STREAM_S.stop - 1)]
    slow_answer_s: Annotated[Integer, Field(ge=1, le=LONGEST_STREAM_S.stop - 1)]

    image_digest: OptionalDigest
    task_cpu: TaskCpu
    task_memory_mib: Integer
    min_tasks: Annotated[Integer, Field(ge=1, le=1000)]
    max_tasks: Annotated[Integer, Field(ge=1, le=1000)]
    requests_per_target: Annotated[Integer, Field(ge=1, le=1_000_000)]
    target_cpu_percent: Annotated[Integer, Field(ge=10, le=90)]
    in_flight_per_task: Annotated[Integer, Field(ge=1, le=1000)]
    schedule_timezone: TimeZone
    scheduled_floors: ScheduledFloors

    cache_node_type: CacheNodeType
    cache_replicas: Annotated[Integer, Field(ge=0, le=5)]
    cache_snapshot_days: Annotated[Integer, Field(ge=0, le=35)]

    openai_base_url: OpenAIBaseUrl
    requests_per_minute: Annotated[Integer, Field(ge=1, le=10_000_000)]
    requests_per_address: Annotated[Integer, Field(ge=100, le=2_000_000_000)]
    deployment_routing: DeploymentRoutingChoice
    model_aliases: ModelAliases
    model_prices: ModelPrices
    response_cache_ttl_s: Annotated[Integer, Field(ge=0, le=30 * 86400)]

    log_retention_days: LogRetentionDays
    deletion_protection: Boolean
    secret_recovery_days: SecretRecoveryDays

    @field_validator("interface_endpoints")
    @classmethod
    def _tasks_reach_aws(cls, endpoints: bool, info: ValidationInfo) -> bool:
        own = info.data.get("network") == "own"
        if own and info.data.get("nat_gateways") == "none" and not endpoints:
            raise refuse("without NAT gateways tasks reach AWS by interface endpoints only", "true")
        return endpoints

    @field_validator("vpc_id")
    @classmethod
    def _an_existing_network_is_named(cls, vpc_id: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("network") == "existing" and vpc_id is None:
            raise refuse("must name the VPC of an existing network", "vpc-0123456789abcdef0")
        if info.data.get("network") == "own" and vpc_id is not None:
            raise refuse("is for network existing only", "")
        return vpc_id

    @field_validator("public_subnet_ids", "private_subnet_ids", "isolated_subnet_ids")
    @classmethod
    def _one_subnet_a_zone(cls, ids: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        zones = info.data.get("availability_zones", len(ids))
        if info.data.get("network") == "existing" and len(ids) != zones:
            example = ",".join(f"subnet-0123456789abcdef{number}" for number in range(zones))
            raise refuse(f"must name {zones} subnets, one a zone of availability_zones", example)
        if info.data.get("network") == "own" and ids:
            raise refuse("is for network existing only", "")
        return ids

    @field_validator("openai_base_url")
    @classmethod
    def _openai_is_within_reach(cls, url: str, info: ValidationInfo) -> str:
        host = urlsplit(url).hostname or ""
        cut_off = info.data.get("network") == "own" and info.data.get("nat_gateways") == "none"
        if cut_off and (host == "openai.com" or host.endswith(".openai.com")):
            reason = (
                f"without NAT gateways no task reaches {host}; give an address within the network, or set "
            )
            raise refuse(f"{reason}nat_gateways to one", "https://openai.internal.example.com/v1")
        return url

    @field_validator("hosted_zone_name")
    @classmethod
    def _zone_holds_the_domain(cls, zone: str | None, info: ValidationInfo) -> str | None:
        domain = info.data.get("domain_name")
        if domain is None:
            return zone
        parent = domain.partition(".")[2] if domain.count(".") > 1 else domain
        if zone is None:
            raise refuse(f"must name the Route 53 zone that holds {domain}", parent)
        if domain != zone and not domain.endswith("." + zone):
            raise refuse(f"does not hold domain_name {domain}", parent)
        return zone

    @field_validator("allow_plaintext_http")
    @classmethod
    def _production_speaks_https(cls, allowed: bool, info: ValidationInfo) -> bool:
        if _is_production(info) and info.data.get("domain_name", "") is None and not allowed:
            raise refuse("production would carry prompts and keys in clear; set domain_name, or this", "true")
        return allowed

    @field_validator("slow_answer_s")
    @classmethod
    def _slowness_can_be_seen(cls, slow_s: int, info: ValidationInfo) -> int:
        longest_s = info.data.get("longest_stream_s", slow_s)
        if slow_s > longest_s:
            raise refuse(f"is above longest_stream_s {longest_s}: no answer could be slow", str(longest_s))
        return slow_s

    @field_validator("image_digest")
    @classmethod
    def _production_runs_what_staging_ran(cls, digest: str | None, info: ValidationInfo) -> str | None:
        if _is_production(info) and digest is None:
            raise refuse(
                "production never builds: give the digest of an image that staging has run", "sha256:…"
            )
        return digest

    @field_validator("task_memory_mib")
    @classmethod
    def _memory_fits_the_cpu(cls, memory_mib: int, info: ValidationInfo) -> int:
        cpu = info.data.get("task_cpu")
        if cpu is None:
            return memory_mib
        sizes = FARGATE_MEMORY_MIB[cpu]
        if memory_mib not in sizes:
            step = f"{sizes[0]} to {sizes[-1]} in steps of {sizes[1] - sizes[0]}"
            offered = listed(sizes) if len(sizes) <= 4 else step
            reason = f"does not go with task_cpu {cpu}: Fargate offers {offered}"
            raise refuse(reason, str(nearest(memory_mib, sizes)))
        return memory_mib

    @field_validator("min_tasks")
    @classmethod
    def _production_survives_a_zone(cls, tasks: int, info: ValidationInfo) -> int:
        if _is_production(info) and tasks < 2:
            raise refuse("production needs 2 tasks or more, to survive the loss of a zone", "2")
        return tasks

    @field_validator("max_tasks")
    @classmethod
    def _room_to_scale(cls, tasks: int, info: ValidationInfo) -> int:
        least = info.data.get("min_tasks", 1)
        if tasks < least:
            raise refuse(f"is below min_tasks {least}", str(least))
        return tasks

    @field_validator("cache_snapshot_days")
    @classmethod
    def _production_keeps_snapshots(cls, days: int, info: ValidationInfo) -> int:
        if _is_production(info) and days < 1:
            raise refuse("production keeps snapshots of the cache for a day or more", "7")
        return days

    @field_validator("scheduled_floors")
    @classmethod
    def _floors_lie_within_the_bounds(
        cls, floors: tuple[Floor, ...], info: ValidationInfo
    ) -> tuple[Floor, ...]:
        least, most = info.data.get("min_tasks", 1), info.data.get("max_tasks", 9999)
        for floor in floors:
            if not least < floor.tasks <= most:
                reason = (
                    f"{floor.name} asks for {floor.tasks} tasks, not more than min_tasks {least} and up to "
                )
                remedy = SCHEDULE_EXAMPLE.rpartition(" ")[0] + f" {most}" if most > least else ""
                raise refuse(f"{reason}max_tasks {most}", remedy)
        return floors

    @field_validator("requests_per_address")
    @classmethod
    def _one_key_is_not_blocked(cls, requests: int, info: ValidationInfo) -> int:
        within_its_limit = 5 * info.data.get("requests_per_minute", 0)
        if requests < within_its_limit:
            reason = f"is below what one key may send from one address in five minutes ({within_its_limit})"
            raise refuse(reason, str(within_its_limit))
        return requests

    @field_validator("cache_replicas")
    @classmethod
    def _production_cache_fails_over(cls, replicas: int, info: ValidationInfo) -> int:
        if _is_production(info) and replicas < 1:
            raise refuse("production needs 1 replica or more, to fail over to another zone", "1")
        return replicas

    @property
    def is_production(self) -> bool:
        """Whether the strict rules hold: TLS, two tasks, a cache that fails over, promoted images only."""
        return self.environment == "production"

    @property
    def serves_https(self) -> bool:
        """Whether the balancer has a certificate, which needs a domain."""
        return self.domain_name is not None

    @property
    def name_prefix(self) -> str:
        """What the stack's own names start with: `<project>-<stack>`."""
        return f"{self.project}-{self.stack}"

    @property
    def streaming(self) -> StreamingBudget:
        """The timeouts that `longest_stream_s` decides."""
        return streaming_budget(self.longest_stream_s)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of every resource; activate them as cost allocation tags to split the bill."""
        return {
            "project": self.project,
            "stack": self.stack,
            "environment": self.environment,
            "owner": self.owner,
            "cost-center": self.cost_center,
            "repository": self.repository,
        }


@dataclass(frozen=True)
class Problem:
    """One refused key: what it holds, why that is refused, and the command that mends it."""

    key: str
    value: str | None
    reason: str
    command: str

    def __str__(self) -> str:
        shown = "is not set" if self.value is None else f"= {json.dumps(self.value, ensure_ascii=False)}"
        return f"  {self.key} {shown}\n    {self.reason}\n    mend it: {self.command}"


class ConfigError(Exception):
    """A config that was refused, with all of its problems."""

    def __init__(self, stack: str, problems: list[Problem]) -> None:
        self.stack = stack
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"{count} in the config of stack {stack}:\n" + "\n".join(map(str, problems)))


def load() -> StackConfig:
    """The config of the Pulumi program that is running.

    Raises ConfigError with every problem.
    """
    given = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    secret = {key for key in given if pulumi.runtime.config.is_config_secret(key)}
    return parse(pulumi.get_project(), pulumi.get_stack(), given, secret)


def load_file(stack: str, overrides: Mapping[str, str] | None = None, root: Path = ROOT) -> StackConfig:
    """The config of `stack` from `Pulumi.yaml` and `Pulumi.<stack>.yaml` in `root`, without the engine.

    overrides: key -> value, as `pulumi up --config key=value` takes them.
    Raises ConfigError with every problem, or when there is no such stack.
    """
    project, given = read_files(stack, overrides, root)
    return parse(project, stack, given)


def read_files(
    stack: str, overrides: Mapping[str, str] | None = None, root: Path = ROOT
) -> tuple[str, dict[str, str]]:
    """The project's name, and the values of `stack` under their full keys, as the engine hands them over."""
    declared = yaml.safe_load((root / "Pulumi.yaml").read_text())
    project: str = declared["name"]
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        problem = Problem("stack", stack, f"has no Pulumi.{stack}.yaml; there is {', '.join(stacks(root))}",
                          f"pulumi stack init {shlex.quote(stack)}")  # fmt: skip
        raise ConfigError(stack, [problem])
    # `pulumi new` adds keys of its own namespace, which have a value and no default.
    defaults = {key: entry["default"] for key, entry in declared["config"].items() if ":" not in key}
    values = (yaml.safe_load(path.read_text()) or {}).get("config") or {}
    layers = (defaults, values, overrides or {})
    given = {_full_key(project, key): _as_text(value) for layer in layers for key, value in layer.items()}
    return project, given


def stacks(root: Path = ROOT) -> list[str]:
    """The stacks that have a file in `root`."""
    return sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml"))


def parse(
    project: str, stack: str, given: Mapping[str, str], secret: frozenset[str] | set[str] = frozenset()
) -> StackConfig:
    """The checked config of `stack` from values under their full keys (`project:key`, `aws:region`).

    secret: full keys whose values must not be shown. Keys of other namespaces are left to their providers.
    Raises ConfigError with every problem.
    """
    prefix = f"{project}:"
    own = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
    reserved = {key: value for key, value in own.items() if key in ("project", "stack", "region")}
    values: dict[str, Any] = {key: value for key, value in own.items() if key not in reserved}
    values |= {"project": project, "stack": stack}
    if REGION_KEY in given:
        values["region"] = given[REGION_KEY]
    hidden = {key.removeprefix(prefix) for key in secret}
    problems = [_unknown(stack, key, value, hidden) for key, value in reserved.items()]
    try:
        config = StackConfig.model_validate(values)
    except ValidationError as error:
        problems += [_problem(stack, found, values, hidden) for found in error.errors()]
    if problems:
        raise ConfigError(stack, problems)
    return config


def _is_production(info: ValidationInfo) -> bool:
    return info.data.get("environment") == "production"


def _full_key(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _as_text(value: object) -> str:
    """As the engine writes a YAML value: JSON but for text."""
    return value if isinstance(value, str) else json.dumps(value)


def _problem(stack: str, found: ErrorDetails, values: Mapping[str, Any], hidden: set[str]) -> Problem:
    field = str(found["loc"][0])
    if found["type"] == "extra_forbidden":
        return _unknown(stack, field, values[field], hidden)
    key = REGION_KEY if field == "region" else field
    context = found.get("ctx", {})
    if found["type"] == "missing" or values.get(field) == "":
        return Problem(
            key, None, "is required", _set(stack, key, context.get("remedy") or _EXAMPLES.get(field, "…"))
        )
    value = "[secret]" if field in hidden else str(values[field])
    if "remedy" in context:
        return Problem(key, value, context["reason"], _set(stack, key, context["remedy"]))
    reason, remedy = _bounds(field, context, found["msg"])
    return Problem(key, value, reason, _set(stack, key, remedy))


def _bounds(field: str, context: Mapping[str, Any], message: str) -> tuple[str, str]:
    """Reason and remedy of a number outside its bounds, or of a value that is no number."""
    limits = {type(m).__name__: m for m in StackConfig.model_fields[field].metadata}
    low = getattr(limits.get("Ge"), "ge", None)
    high = getattr(limits.get("Le"), "le", None)
    if low is None:
        return message, _EXAMPLES.get(field, "…")
    remedy = high if "le" in context else max(low, int(_EXAMPLES.get(field, low)))
    return f"must be a whole number from {low} to {high}", str(remedy)


def _unknown(stack: str, key: str, value: object, hidden: set[str]) -> Problem:
    close = difflib.get_close_matches(
        key, [f for f in StackConfig.model_fields if f not in ("project", "stack")], 1
    )
    meant = f"; did you mean {REGION_KEY if close[0] == 'region' else close[0]}?" if close else ""
    shown = "[secret]" if key in hidden else str(value)
    return Problem(
        key,
        shown,
        f"is no key of this project{meant}",
        f"pulumi config rm {shlex.quote(key)} --stack {stack}",
    )


def _set(stack: str, key: str, remedy: str) -> str:
    return f"pulumi config set {key} {shlex.quote(remedy)} --stack {stack}"


# A value to show for a key that is missing or unreadable and has no bounds of its own.
_EXAMPLES = {
    "region": "us-east-1",
    "environment": "staging",
    "owner": "platform@example.com",
    "cost_center": "platform",
    "repository": "example-org/openai-gateway",
    "monthly_budget_usd": "200",
    "min_tasks": "2",
    "slow_answer_s": "60",
    "task_cpu": "512",
    "task_memory_mib": "1024",
    "log_retention_days": "30",
    "secret_recovery_days": "7",
}
