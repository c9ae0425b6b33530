"""What a stack costs a month, item by item, computed from its resource graph.

Two kinds of items: what runs anyway, at the fewest tasks, and what comes with the traffic, whose assumptions
are `Traffic`. Neither holds free tiers, discounts, taxes, transfer between zones, or what OpenAI charges.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from app.ledger import TICK_S
from app.ledger_record import KEPT_DAYS
from app.ledger_table import MAX_RECORDS
from offline.prices import Prices
from policy.resource import Graph, Resource, of_type

HOURS = 730
"""Of an average month, as AWS's own calculator counts."""

CENT = Decimal("0.01")
MIB_PER_GB = 1024
POLL_S = 20
CPU_UNITS = 1024

RECORD_UNITS = 3
"""Write units of a request's usage record: two, being written in a transaction, and one in the index."""

TRANSACTION_UNITS = 14
"""Write units that a transaction of the ledger has beside its records: two each for the fence, three totals
and three rollups (DynamoDB developer guide, "Managing complex workflows with transactions")."""


@dataclass(frozen=True)
class Traffic:
    """What a month brings, evenly, from callers of one organization.

    KB are an average request's: its body, its answer, its log line, its flow logs, and what the firewall logs
    of it, which counts every body above 8 KB. table_reads: units for one request, when no task remembers its
    key, project and organization, half a unit each; the rest is for everything else. record_bytes: of a usage
    record where it is stored, its index apart. GB are what is kept beside the usage records.
    """

    requests: int = 1_000_000
    request_kb: int = 8
    answer_kb: int = 4
    log_kb: int = 1
    flow_log_kb: int = 1
    firewall_log_kb: int = 1
    table_reads: int = 2
    record_bytes: int = 750
    table_gb: int = 1
    bucket_gb: int = 5
    images_gb: int = 5

    def gb(self, kb_per_request: int) -> Decimal:
        """All requests' share of that many KB each."""
        return Decimal(self.requests * kb_per_request) / 1_000_000

    @property
    def millions(self) -> Decimal:
        return Decimal(self.requests) / 1_000_000

    @property
    def records_gb(self) -> Decimal:
        """Usage records, once as many come as go: each is kept for KEPT_DAYS."""
        return round(Decimal(self.requests * self.record_bytes) / 10**9 * KEPT_DAYS * 24 / HOURS, 2)

    def table_writes(self, tasks: int) -> Decimal:
        """Write units of a month.

        Each task moves what has come every TICK_S, in transactions of up to MAX_RECORDS; with few requests
        each has one of its own. Where several keys or models come together, a transaction has up to four more
        updates for each, so more traffic costs somewhat more than this says.
        """
        ticks = Decimal(HOURS * 3600 * max(tasks, 1)) / Decimal(str(TICK_S))
        transactions = min(Decimal(self.requests), max(Decimal(self.requests) / MAX_RECORDS, ticks))
        return self.requests * RECORD_UNITS + transactions * TRANSACTION_UNITS


@dataclass(frozen=True)
class Item:
    """One line of the estimate. price_usd: of one unit."""

    part: str
    quantity: Decimal
    unit: str
    price_usd: Decimal
    with_traffic: bool = False

    @property
    def monthly_usd(self) -> Decimal:
        """In whole cents, so that what is shown adds up."""
        return (self.quantity * self.price_usd).quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True)
class Estimate:
    """unpriced: resources whose type nobody has given a price or called free."""

    items: Sequence[Item]
    unpriced: Sequence[str]
    tasks: int

    @property
    def fixed_usd(self) -> Decimal:
        return sum((i.monthly_usd for i in self.items if not i.with_traffic), Decimal(0))

    @property
    def traffic_usd(self) -> Decimal:
        return sum((i.monthly_usd for i in self.items if i.with_traffic), Decimal(0))

    @property
    def total_usd(self) -> Decimal:
        return self.fixed_usd + self.traffic_usd


def estimate(graph: Graph, prices: Prices, traffic: Traffic, tasks: int | None = None) -> Estimate:
    """What the resources of `graph` cost. tasks: how many run, None for the fewest that autoscaling keeps.

    Raises UnknownPriceError for a size that has no price.
    """
    running = fewest_tasks(graph) if tasks is None else tasks
    items = [*_tasks(graph, prices, running), *_queues(graph, prices, running)]
    for rule in (_balancers, _gateways, _endpoints, _caches, _monthly, _web_acls):
        items += rule(graph, prices)
    items += _traffic(graph, prices, traffic, running)
    return Estimate([item for item in items if item.quantity], unpriced(graph, prices), running)


def fewest_tasks(graph: Graph) -> int:
    """How many tasks autoscaling keeps at least, when no scheduled floor asks for more."""
    actions = of_type(graph, "appautoscaling/scheduledAction:ScheduledAction")
    scheduled = [int(action.get("scalableTargetAction", "minCapacity")) for action in actions]
    return sum(
        min([int(target.get("minCapacity") or 0), *scheduled])
        for target in of_type(graph, "appautoscaling/target:Target")
    )


def most_tasks(graph: Graph) -> int:
    """How many tasks autoscaling starts at most."""
    return sum(
        int(target.get("maxCapacity") or 0) for target in of_type(graph, "appautoscaling/target:Target")
    )


def unpriced(graph: Graph, prices: Prices) -> list[str]:
    """AWS resources of which neither a rule nor the list of free types says anything."""
    return [
        str(resource)
        for resource in graph
        if (kind := resource.type.removeprefix("aws:")) != resource.type
        and kind not in PRICED
        and prices.free(kind) is None
    ]


def _hourly(part: str, count: int | Decimal, unit: str, price: Decimal) -> Item:
    return Item(part, Decimal(count) * HOURS, f"{unit}-hours", price)


def _tasks(graph: Graph, prices: Prices, tasks: int) -> list[Item]:
    """At the price on demand; what autoscaling adds may run on Spot, which costs about a third."""
    items = []
    for definition in of_type(graph, "ecs/taskDefinition:TaskDefinition"):
        vcpus = Decimal(definition.properties["cpu"]) / CPU_UNITS
        memory_gb = Decimal(definition.properties["memory"]) / MIB_PER_GB
        items += [
            _hourly(
                f"{_count(tasks, 'task')}, processors", tasks * vcpus, "vCPU", prices.of("fargate_vcpu_hour")
            ),
            _hourly(
                f"{_count(tasks, 'task')}, memory", tasks * memory_gb, "GB", prices.of("fargate_gb_hour")
            ),
        ]
    return items


def _queues(graph: Graph, prices: Prices, tasks: int) -> list[Item]:
    """Each task asks the queue that is not one of dead letters, always, with calls that wait POLL_S."""
    asked = [queue for queue in of_type(graph, "sqs/queue:Queue") if queue.get("redrivePolicy")]
    polls = Decimal(len(asked) * tasks * HOURS * 3600) / POLL_S / 1_000_000
    return [Item("knowledge queue", polls, "million calls", prices.of("queue_requests_million"))]


def _balancers(graph: Graph, prices: Prices) -> list[Item]:
    items = []
    for balancer in of_type(graph, "lb/loadBalancer:LoadBalancer"):
        items.append(_hourly("load balancer", 1, "balancer", prices.of("balancer_hour")))
        if not balancer.get("internal"):
            # One address a subnet it stands in, and its addresses are charged like any other.
            addresses = len(balancer.get("subnets") or [])
            price = prices.of("public_ipv4_hour")
            items.append(_hourly("load balancer, public addresses", addresses, "address", price))
    return items


def _gateways(graph: Graph, prices: Prices) -> list[Item]:
    gateways = len(of_type(graph, "ec2/natGateway:NatGateway"))
    addresses = len(of_type(graph, "ec2/eip:Eip"))
    return [
        _hourly("NAT gateways", gateways, "gateway", prices.of("nat_gateway_hour")),
        _hourly("NAT gateways, public addresses", addresses, "address", prices.of("public_ipv4_hour")),
    ]


def _endpoints(graph: Graph, prices: Prices) -> list[Item]:
    """Gateway endpoints cost nothing, interface endpoints an address in every subnet."""
    interfaces = sum(
        len(endpoint.get("subnetIds") or [])
        for endpoint in of_type(graph, "ec2/vpcEndpoint:VpcEndpoint")
        if endpoint.get("vpcEndpointType") == "Interface"
    )
    return [_hourly("interface endpoints", interfaces, "endpoint", prices.of("interface_endpoint_hour"))]


def _caches(graph: Graph, prices: Prices) -> list[Item]:
    items = []
    for cache in of_type(graph, "elasticache/replicationGroup:ReplicationGroup"):
        nodes, node_type = int(cache.properties["numCacheClusters"]), cache.properties["nodeType"]
        items.append(_hourly(f"cache, {node_type}", nodes, "node", prices.cache_node_hour(node_type)))
    return items


def _monthly(graph: Graph, prices: Prices) -> list[Item]:
    """What is charged by the month it exists. A scaling policy on a target makes two alarms of its own."""
    alarms = sum(map(_alarm_metrics, of_type(graph, "cloudwatch/metricAlarm:MetricAlarm")))
    tracking = [
        policy
        for policy in of_type(graph, "appautoscaling/policy:Policy")
        if policy.get("policyType") == "TargetTrackingScaling"
    ]
    counts = [
        ("encryption key", len(of_type(graph, "kms/key:Key")), "key", "kms_key_month"),
        ("secrets", len(of_type(graph, "secretsmanager/secret:Secret")), "secret", "secret_month"),
        ("dashboard", len(of_type(graph, "cloudwatch/dashboard:Dashboard")), "dashboard", "dashboard_month"),
        ("alarms", alarms, "metric", "alarm_month"),
        ("alarms of autoscaling", 2 * len(tracking), "metric", "alarm_month"),
    ]
    return [
        Item(part, Decimal(count), f"{unit}-months", prices.of(price)) for part, count, unit, price in counts
    ]


def _alarm_metrics(alarm: Resource) -> int:
    """An alarm is charged for each metric it looks at."""
    queries: Sequence[dict[str, Any]] = alarm.get("metricQueries") or []
    return sum(1 for query in queries if query.get("metric")) or 1


def _web_acls(graph: Graph, prices: Prices) -> list[Item]:
    acls = of_type(graph, "wafv2/webAcl:WebAcl")
    rules = sum(len(acl.get("rules") or []) for acl in acls)
    return [
        Item("firewall", Decimal(len(acls)), "ACL-months", prices.of("web_acl_month")),
        Item("firewall, rules", Decimal(rules), "rule-months", prices.of("web_acl_rule_month")),
    ]


def _traffic(graph: Graph, prices: Prices, traffic: Traffic, tasks: int) -> list[Item]:
    has = Counter(resource.type.removeprefix("aws:") for resource in graph)
    both_ways = traffic.gb(traffic.request_kb + traffic.answer_kb)
    logged = traffic.gb(traffic.log_kb)
    beside = traffic.gb(traffic.flow_log_kb) if has["ec2/flowLog:FlowLog"] else Decimal(0)
    if has["wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"]:
        beside += traffic.gb(traffic.firewall_log_kb)
    # A capacity unit is an hour of 1 GB or of 25 new connections a second, whichever is more.
    capacity = max(both_ways, Decimal(traffic.requests) / (25 * 3600))
    # Calls of AWS go the same way, unless an endpoint takes them; the log lines are most of them.
    endpoint_services = {
        str(endpoint.get("serviceName")).rpartition(".")[2]
        for endpoint in of_type(graph, "ec2/vpcEndpoint:VpcEndpoint")
        if endpoint.get("vpcEndpointType") == "Interface"
    }
    through_endpoints = logged if "logs" in endpoint_services else Decimal(0)
    through_nat = both_ways + logged - through_endpoints if has["ec2/natGateway:NatGateway"] else Decimal(0)
    records_gb = traffic.records_gb
    tables, registries = has["dynamodb/table:Table"], has["ecr/repository:Repository"]
    balancers, acls = has["lb/loadBalancer:LoadBalancer"], has["wafv2/webAcl:WebAcl"]
    lines: list[tuple[str, int | Decimal, str, str]] = [
        ("load balancer, capacity", balancers * capacity, "unit-hours", "balancer_capacity_hour"),
        ("NAT gateways, data", through_nat, "GB", "nat_gateway_gb"),
        ("interface endpoints, data", through_endpoints, "GB", "interface_endpoint_gb"),
        ("data out to clients", traffic.gb(traffic.answer_kb), "GB", "data_out_gb"),
        ("data out to OpenAI", traffic.gb(traffic.request_kb), "GB", "data_out_gb"),
        ("logs", logged + beside, "GB", "logs_gb_in"),
        ("logs, kept", logged + beside, "GB-months", "logs_gb_month"),
        ("firewall, requests", acls * traffic.millions, "million", "web_acl_requests_million"),
        ("table, writes", tables * traffic.table_writes(tasks) / 10**6, "million", "table_writes_million"),
        ("table, reads", tables * traffic.millions * traffic.table_reads, "million", "table_reads_million"),
        # What is kept for recovery is the table without its index.
        ("table, kept", tables * (traffic.table_gb + 2 * records_gb), "GB-months", "table_gb_month"),
        ("table, recovery", tables * (traffic.table_gb + records_gb), "GB-months", "table_recovery_gb_month"),
        ("buckets, kept", has["s3/bucket:Bucket"] * traffic.bucket_gb, "GB-months", "bucket_gb_month"),
        ("images, kept", registries * traffic.images_gb, "GB-months", "registry_gb_month"),
    ]
    return [
        Item(part, Decimal(quantity), unit, prices.of(price), with_traffic=True)
        for part, quantity, unit, price in lines
    ]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


# The types that a rule above looks at.
PRICED = {
    "appautoscaling/target:Target",
    "cloudwatch/dashboard:Dashboard",
    "cloudwatch/logGroup:LogGroup",
    "cloudwatch/metricAlarm:MetricAlarm",
    "ec2/natGateway:NatGateway",
    "ec2/vpcEndpoint:VpcEndpoint",
    "ecs/service:Service",
    "elasticache/replicationGroup:ReplicationGroup",
    "kms/key:Key",
    "lb/loadBalancer:LoadBalancer",
    "secretsmanager/secret:Secret",
    "sqs/queue:Queue",
    "wafv2/webAcl:WebAcl",
}
