"""The cache: users with passwords, TLS, failover, and settings that never evict what must stay."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cache import elasticache_id
from tests.infra.graph import StackGraph, stack_graph


def test_production_fails_over_and_staging_is_one_node(staging: StackGraph, production: StackGraph) -> None:
    one, many = staging.one("ReplicationGroup"), production.one("ReplicationGroup")
    assert (one.get("numCacheClusters"), one.get("automaticFailoverEnabled"), one.get("multiAzEnabled")) == (
        1,
        False,
        False,
    )
    assert (many.get("numCacheClusters"), many.get("automaticFailoverEnabled")) == (3, True)
    assert many.get("multiAzEnabled") is True


def test_one_replica_is_enough_to_fail_over() -> None:
    group = stack_graph("staging", cache_replicas="1").one("ReplicationGroup")
    assert (group.get("numCacheClusters"), group.get("automaticFailoverEnabled")) == (2, True)


def test_production_keeps_nightly_snapshots_and_staging_none(
    staging: StackGraph, production: StackGraph
) -> None:
    kept, cheap = production.one("ReplicationGroup"), staging.one("ReplicationGroup")
    assert kept.get("snapshotRetentionLimit") == 7
    assert cheap.get("snapshotRetentionLimit") == 0
    # AWS takes no snapshot window within the maintenance window.
    assert kept.get("snapshotWindow") < kept.get("maintenanceWindow").split(":", 1)[1]


def test_a_cache_that_is_removed_leaves_no_answers_behind(either: StackGraph) -> None:
    """ElastiCache ends nightly snapshots with their cache; a final one would stay until somebody finds it."""
    assert either.one("ReplicationGroup").get("finalSnapshotIdentifier") is None


def test_what_carries_no_expiry_is_never_evicted(either: StackGraph) -> None:
    parameters = either.one("ParameterGroup")
    assert parameters.get("family") == "valkey8"
    assert parameters.get("parameters") == [{"name": "maxmemory-policy", "value": "volatile-ttl"}]
    assert either.one("ReplicationGroup").get("parameterGroupName") == parameters.get("name")


def test_the_gateway_is_the_only_user_that_may_log_in(either: StackGraph) -> None:
    users = {u.get("userName"): u for u in either.all("User")}
    assert set(users) == {"default", "gateway"}
    assert users["default"].get("accessString") == "off ~* -@all"
    assert users["gateway"].get("accessString").startswith("on ")
    group = either.one("UserGroup")
    assert set(group.get("userIds")) == {u.get("userId") for u in users.values()}
    assert either.one("ReplicationGroup").get("userGroupIds") == [group.get("userGroupId")]


def test_the_gateway_may_not_administer_the_server(either: StackGraph) -> None:
    rules = either.one("User", "cache-gateway").get("accessString").split()
    after = rules[rules.index("-@dangerous") :]
    assert "-@admin" in rules
    assert after == ["-@dangerous", "+info", "+time"]


def test_passwords_are_secret_and_a_later_run_does_not_set_them(either: StackGraph) -> None:
    for user in either.all("User"):
        assert "authenticationMode" in user.secret_inputs
        assert "authenticationMode" in user.ignore_changes
    passwords = [u.get("authenticationMode", "passwords", 0) for u in either.all("User")]
    assert len(set(passwords)) == 2
    assert all(len(password) >= 64 for password in passwords)


def test_the_gateways_user_is_seeded_after_the_secrets_exist(either: StackGraph) -> None:
    user = either.one("User", "cache-gateway")
    assert user.hooks == {"after_create": ["seed-new-user"]}
    assert {s.urn for s in either.all("Secret")} <= set(user.depends_on)
    assert either.one("User", "cache-default").hooks == {}


def test_the_cache_stands_in_the_isolated_subnets(either: StackGraph) -> None:
    subnets = [either.by_id(i) for i in either.one("SubnetGroup").get("subnetIds")]
    assert {s.get("tags", "tier") for s in subnets} == {"isolated"}


@given(st.from_regex(r"[a-z][a-zA-Z0-9._-]{0,80}", fullmatch=True))
def test_any_name_becomes_an_id_that_elasticache_takes(name: str) -> None:
    made = elasticache_id(name)
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", made)
    assert len(made) <= 40


def test_long_names_stay_apart() -> None:
    assert elasticache_id("x" * 50 + "-users") != elasticache_id("x" * 50 + "-gateway")


@pytest.mark.parametrize("name", ["openai-gateway-prod", "openai-gateway-staging-gateway"])
def test_a_name_that_fits_is_kept(name: str) -> None:
    assert elasticache_id(name) == name
