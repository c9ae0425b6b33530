"""The environment that the stack renders is the one that the gateway reads, name by name."""

import json

import pytest

from app.models.alias import parse_aliases
from app.prices import parse_prices
from app.settings import PREFIX, Settings
from tests.infra.graph import StackGraph, stack_graph


def rendered(graph: StackGraph) -> tuple[dict[str, str], dict[str, str]]:
    """(plain environment, secrets) of the gateway's container."""
    [container] = json.loads(graph.one("TaskDefinition").get("containerDefinitions"))
    plain = {entry["name"]: entry["value"] for entry in container["environment"]}
    secrets = {entry["name"]: entry["valueFrom"] for entry in container["secrets"]}
    return plain, secrets


def test_the_names_rendered_are_exactly_the_names_read(either: StackGraph) -> None:
    plain, secrets = rendered(either)
    assert set(plain).isdisjoint(secrets)
    assert {*plain, *secrets} == {PREFIX + name.upper() for name in Settings.model_fields}


def test_the_gateway_accepts_what_is_rendered(either: StackGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, secrets = rendered(either)
    for name, value in {**plain, **dict.fromkeys(secrets, "p" * 43)}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.table_name == either.outputs["table_name"]
    assert settings.bucket_name == either.outputs["bucket_name"]
    assert settings.cache_url == f"rediss://{either.outputs['cache_endpoint']}"
    assert settings.openai_secret_arn == either.outputs["openai_secret_arn"]
    assert settings.alert_topic_arn == either.outputs["alert_topic_arn"]
    assert settings.knowledge_queue_url == either.outputs["knowledge_queue_url"]
    assert settings.cache_secret_arn == either.outputs["cache_secret_arn"]


def test_what_the_gateway_reads_as_secret_is_injected_by_reference(either: StackGraph) -> None:
    secret = {
        PREFIX + name.upper()
        for name, field in Settings.model_fields.items()
        if "Secret" in str(field.annotation)
    }
    assert set(rendered(either)[1]) == secret
    assert rendered(either)[1]["GATEWAY_KEY_PEPPER"] == either.outputs["pepper_secret_arn"]


def test_config_reaches_the_container() -> None:
    prices = '{ "m": {"output": 2, "input": "1"} }'
    graph = stack_graph(
        "staging",
        requests_per_minute="7",
        response_cache_ttl_s="0",
        longest_stream_s="60",
        model_prices=prices,
        model_aliases='{ "fast": "gpt-5-mini" }',
        deployment_routing="fastest",
    )
    plain, _ = rendered(graph)
    assert plain["GATEWAY_REQUESTS_PER_MINUTE"] == "7"
    assert plain["GATEWAY_RESPONSE_CACHE_TTL_S"] == "0"
    assert plain["GATEWAY_LONGEST_STREAM_S"] == "60"
    assert plain["GATEWAY_DEPLOYMENT_ROUTING"] == "fastest"
    assert parse_aliases(plain["GATEWAY_MODEL_ALIASES"])["fast"].models == ("gpt-5-mini",)
    assert plain["GATEWAY_MODEL_PRICES"] == '{"m":{"input":"1","output":2}}'
    assert parse_prices(plain["GATEWAY_MODEL_PRICES"])["m"].bound(1_000_000, 1_000_000) == 3_000_000


def test_the_gateway_keeps_connections_longer_than_the_balancer_and_stops_in_time(either: StackGraph) -> None:
    plain, _ = rendered(either)
    [container] = json.loads(either.one("TaskDefinition").get("containerDefinitions"))
    assert int(plain["GATEWAY_KEEP_ALIVE_S"]) > either.one("LoadBalancer").get("idleTimeout")
    assert int(plain["GATEWAY_STOP_TIMEOUT_S"]) == container["stopTimeout"] <= 120
