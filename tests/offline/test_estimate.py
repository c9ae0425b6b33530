"""The estimate adds up, counts what the graph holds, and passes over nothing."""

from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger_record import UsageRecord
from app.ledger_table import MAX_RECORDS, LedgerTable
from offline.estimate import (
    RECORD_UNITS,
    TRANSACTION_UNITS,
    Estimate,
    Traffic,
    estimate,
    fewest_tasks,
    most_tasks,
)
from offline.prices import UnknownPriceError, prices_of
from policy.resource import Resource
from tests.infra.graph import Registered, StackGraph, stack_graph

REGIONS = ["us-east-1", "us-east-2", "us-west-1", "us-west-2"]
PARTS = [
    Registered("aws:ecs/taskDefinition:TaskDefinition", "task", {"cpu": "512", "memory": "1024"}),
    Registered("aws:lb/loadBalancer:LoadBalancer", "balancer", {"subnets": ["a", "b"]}),
    Registered("aws:ec2/natGateway:NatGateway", "nat", {}),
    Registered("aws:dynamodb/table:Table", "table", {}),
]
NO_TRAFFIC = Traffic(requests=0, table_gb=0, bucket_gb=0, images_gb=0)


def cost(graph: StackGraph, traffic: Traffic = Traffic(), tasks: int | None = None) -> Estimate:  # noqa: B008
    return estimate(graph.resources, prices_of(graph.outputs["region"]), traffic, tasks)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_every_resource_of_both_stacks_has_a_price_or_is_called_free(stack: str, region: str) -> None:
    graph = stack_graph(stack, aws_region=region, availability_zones="2")
    found = cost(graph)
    assert found.unpriced == []
    assert found.total_usd == sum((i.monthly_usd for i in found.items), Decimal(0)) > 0
    assert all(i.monthly_usd == round(i.monthly_usd, 2) for i in found.items)


@given(
    requests=st.integers(0, 10**10),
    more=st.integers(0, 10**9),
    tasks=st.integers(0, 1000),
    kilobytes=st.integers(0, 10_000),
)
def test_more_traffic_and_more_tasks_are_never_cheaper(
    requests: int, more: int, tasks: int, kilobytes: int
) -> None:
    graph = StackGraph(PARTS, (), {"region": "us-east-1"}, ())
    traffic = Traffic(requests, request_kb=kilobytes, answer_kb=kilobytes)
    less = cost(graph, traffic, tasks)
    assert less.fixed_usd + less.traffic_usd == less.total_usd
    assert cost(graph, replace(traffic, requests=requests + more), tasks).traffic_usd >= less.traffic_usd
    assert cost(graph, traffic, tasks + 1).fixed_usd > less.fixed_usd


def test_without_traffic_only_what_runs_anyway_is_charged(either: StackGraph) -> None:
    assert cost(either, NO_TRAFFIC).traffic_usd == 0


def writes(requests: int, tasks: int = 1) -> Decimal:
    """Write units a request."""
    return Traffic(requests).table_writes(tasks) / requests


def test_few_requests_have_a_transaction_each_and_many_share_them() -> None:
    assert writes(1_000_000) == 17
    # 1,000 in a second: 250 in a tick, in transactions of 93.
    assert writes(1_000 * 730 * 3600).quantize(Decimal("0.01")) == Decimal("3.15")
    # 40 in a second: 10 in a tick of one task, 5 where two tasks tick.
    assert writes(40 * 730 * 3600) == Decimal("4.4")
    assert writes(40 * 730 * 3600, tasks=2) == Decimal("5.8")


def test_what_is_written_for_a_request_is_what_the_ledger_writes() -> None:
    record = a_record()
    actions = LedgerTable(client=None, name="gateway")._actions("org-1", "g", [record])  # type: ignore[arg-type]
    of_the_index = 1
    assert 2 * len(actions) + of_the_index == RECORD_UNITS + TRANSACTION_UNITS
    full = [replace(record, request_id=f"req_{n}") for n in range(MAX_RECORDS)]
    many = LedgerTable(client=None, name="gateway")._actions("org-1", "g", full)  # type: ignore[arg-type]
    assert 2 * len(many) == 2 * MAX_RECORDS + TRANSACTION_UNITS


def test_a_usage_record_is_as_large_as_the_estimate_says_and_one_unit_holds_it() -> None:
    """DynamoDB developer guide, "Item sizes and formats"; an item is stored with 100 bytes more."""
    item = orjson.loads(orjson.dumps(a_record().item()))
    size = sum(len(name) + size_of(*value.items()) for name, value in item.items())
    assert size < 1024
    assert abs(size + 100 - Traffic.record_bytes) < 50


def size_of(value: tuple[str, str]) -> int:
    """In bytes; of a number two digits a byte and one more."""
    kind, text = value
    return {"S": len(str(text)), "N": (len(str(text)) + 1) // 2 + 1, "BOOL": 1}[kind]


def a_record() -> UsageRecord:
    """One as long as most are."""
    return UsageRecord(
        request_id=f"req_{'a' * 32}",
        organization_id=f"org-{'a' * 24}",
        project_id=f"proj_{'a' * 24}",
        key_id=f"key_{'a' * 24}",
        endpoint="/chat/completions",
        model="gpt-4.1-mini-2025-04-14",
        replica="a" * 36,
        outcome="answered",
        prompt_tokens=12_345,
        completion_tokens=2_345,
        micro_usd=123_456,
        cached_tokens=1_234,
        user_id=f"svcacct_{'a' * 24}",
        at_ms=1_790_000_000_000,
    )


def test_usage_records_are_kept_for_thirteen_months_in_table_and_index(staging: StackGraph) -> None:
    less, more = ({i.part: i for i in cost(staging, Traffic(n)).items} for n in (1_000_000, 2_000_000))
    kept, recovery = (more[p].quantity - less[p].quantity for p in ("table, kept", "table, recovery"))
    assert kept == 2 * recovery
    assert recovery == Decimal("9.87")  # 0.75 GB x 400 days


def test_what_the_firewall_counts_is_logged_too(staging: StackGraph) -> None:
    bare = [r for r in staging.resources if not r.type.endswith(":WebAclLoggingConfiguration")]
    prices = prices_of("us-east-1")
    with_log, without = (
        {i.part: i for i in estimate(graph, prices, Traffic()).items} for graph in (staging.resources, bare)
    )
    assert with_log["logs"].quantity - without["logs"].quantity == 1


def test_a_task_costs_its_processors_and_its_memory(staging: StackGraph) -> None:
    found = {i.part: i for i in cost(staging, tasks=2).items}
    assert found["2 tasks, processors"].monthly_usd == Decimal("29.55")  # 2 x 0.5 vCPU x 730 h x 0.04048
    assert found["2 tasks, memory"].monthly_usd == Decimal("6.49")  # 2 x 1 GB x 730 h x 0.004445


def test_the_estimate_starts_at_the_fewest_tasks(production: StackGraph) -> None:
    assert (fewest_tasks(production.resources), most_tasks(production.resources)) == (3, 30)
    assert cost(production).tasks == 3


def test_the_estimate_is_the_same_at_every_hour_of_a_schedule() -> None:
    always, never = (
        [
            Resource("aws:appautoscaling/target:Target", "scaling", {"minCapacity": now, "maxCapacity": 30}),
            *(
                Resource(
                    "aws:appautoscaling/scheduledAction:ScheduledAction",
                    f"scaling-{fewest}",
                    {"scalableTargetAction": {"minCapacity": fewest, "maxCapacity": 30}},
                )
                for fewest in (12, 3)
            ),
        ]
        for now in (12, 3)
    )
    assert fewest_tasks(always) == fewest_tasks(never) == 3


def test_each_nat_gateway_is_charged_with_its_address() -> None:
    one = cost(stack_graph("prod", nat_gateways="one"), NO_TRAFFIC)
    three = cost(stack_graph("prod"), NO_TRAFFIC)
    assert three.fixed_usd - one.fixed_usd == Decimal(
        "73.20"
    )  # 2 x (730 h x (0.045 + 0.005) + an alarm's metric)


def test_each_task_asks_the_queue_of_new_knowledge_around_the_clock(staging: StackGraph) -> None:
    [item] = [i for i in cost(staging, NO_TRAFFIC, tasks=10).items if i.part == "knowledge queue"]
    assert item.quantity == Decimal("1.314")  # 10 x 730 h x 180 calls
    assert item.monthly_usd == Decimal("0.53")


def test_every_cache_node_is_charged() -> None:
    [item] = [i for i in cost(stack_graph("prod", cache_replicas="1")).items if i.part.startswith("cache")]
    assert (item.part, item.quantity) == ("cache, cache.m7g.large", Decimal(2 * 730))
    assert item.monthly_usd == Decimal("184.54")  # 2 x 730 h x 0.1264


def test_an_interface_endpoint_costs_in_each_subnet_and_takes_log_lines_off_nat(staging: StackGraph) -> None:
    properties = {
        "vpcEndpointType": "Interface",
        "subnetIds": ["a", "b"],
        "serviceName": "com.amazonaws.us-east-1.logs",
    }
    endpoint = Resource("aws:ec2/vpcEndpoint:VpcEndpoint", "logs", properties)
    prices = prices_of("us-east-1")
    found = {i.part: i for i in estimate([*staging.resources, endpoint], prices, Traffic()).items}
    before = {i.part: i for i in cost(staging).items}
    assert found["interface endpoints"].monthly_usd == Decimal("14.60")  # 2 x 730 h x 0.01
    assert before["NAT gateways, data"].quantity - found["NAT gateways, data"].quantity == 1
    assert found["interface endpoints, data"].quantity == 1


def test_an_alarm_is_charged_for_each_metric_it_looks_at() -> None:
    kind = "aws:cloudwatch/metricAlarm:MetricAlarm"
    plain = Resource(kind, "plain", {"metricName": "CPUUtilization"})
    queries = [{"metric": {"metricName": "a"}}, {"expression": "a/b"}, {"metric": {"metricName": "b"}}]
    ratio = Resource(kind, "ratio", {"metricQueries": queries})
    [item] = estimate([plain, ratio], prices_of("us-east-1"), NO_TRAFFIC).items
    assert (item.part, item.quantity) == ("alarms", Decimal(3))


def test_a_type_that_nobody_priced_is_named(staging: StackGraph) -> None:
    stray = Resource("aws:mq/broker:Broker", "stray", {})
    assert estimate([*staging.resources, stray], prices_of("us-east-1"), Traffic()).unpriced == [
        "Broker stray"
    ]


def test_a_node_type_without_a_price_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownPriceError, match=r"no price of a cache\.x9\.large; .* cache_nodes in offline"):
        prices_of("us-east-1").cache_node_hour("cache.x9.large")
