"""The dashboard shows what exists, and nothing overlaps on it."""

import json

from tests.infra.graph import StackGraph


def test_every_metric_is_of_a_resource_of_the_stack(either: StackGraph) -> None:
    body = json.loads(either.one("Dashboard").get("dashboardBody"))
    group = either.one("ReplicationGroup")
    known = {
        "LoadBalancer": {either.one("LoadBalancer").get("arnSuffix")},
        "TargetGroup": {either.one("TargetGroup").get("arnSuffix")},
        "ClusterName": {either.one("Cluster").get("name")},
        "ServiceName": {either.one("Service").get("name")},
        "TableName": {either.one("Table").get("name")},
        "CacheClusterId": {
            f"{group.get('replicationGroupId')}-{n:03}" for n in range(1, group.get("numCacheClusters") + 1)
        },
    }
    seen: dict[str, set[str]] = {name: set() for name in known}
    for widget in body["widgets"]:
        for _namespace, _metric, *dimensions in widget["properties"].get("metrics", []):
            for name, value in zip(dimensions[::2], dimensions[1::2], strict=True):
                assert value in known[name], (name, value)
                seen[name].add(value)
    assert seen == known


def test_widgets_stand_beside_each_other(either: StackGraph) -> None:
    widgets = json.loads(either.one("Dashboard").get("dashboardBody"))["widgets"]
    places = {(w["x"], w["y"]) for w in widgets}
    assert len(places) == len(widgets) == 12
    assert all(w["x"] + w["width"] <= 24 for w in widgets)


def test_the_last_failed_requests_come_from_the_gateways_log(either: StackGraph) -> None:
    [log] = [
        w for w in json.loads(either.one("Dashboard").get("dashboardBody"))["widgets"] if w["type"] == "log"
    ]
    assert f"SOURCE '{either.outputs['log_group_name']}'" in log["properties"]["query"]


def test_its_address_is_an_output(production: StackGraph) -> None:
    name = production.one("Dashboard").get("dashboardName")
    assert production.outputs["dashboard_url"].endswith(f"region=us-east-1#dashboards/dashboard/{name}")
