"""What a stack's config holds: every key, what it may be, and what keys demand of each other."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

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
    OptionalDomainName,
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

REGION_KEY = "aws:region"
"""Where the region stands: the AWS provider's own key."""


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

    domain_name: OptionalDomainName
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
    enable_execute_command: Boolean

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
    batch_prompts: Annotated[Integer, Field(ge=1, le=2048)]

    log_retention_days: LogRetentionDays
    deletion_protection: Boolean
    secret_recovery_days: SecretRecoveryDays

    @field_validator("availability_zones")
    @classmethod
    def _the_region_has_the_zones(cls, zones: int, info: ValidationInfo) -> int:
        if zones > 2 and info.data.get("region") == "us-west-1":
            raise refuse("us-west-1 gives most accounts two zones", "2")
        return zones

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


def _is_production(info: ValidationInfo) -> bool:
    return info.data.get("environment") == "production"
