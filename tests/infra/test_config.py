"""A stack's config is checked whole: every problem at once, each with the command that mends it."""

import json
import shlex
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.prices import PricesError, parse_prices
from app.settings import Settings
from app.settings import load as load_settings
from infra.config import ROOT, ConfigError, StackConfig, load, load_file, parse, read_files
from infra.environment import plain_environment
from offline.prices import prices_of

STACKS = ("staging", "prod")

# What staging and production may differ in; everything else must be the same in both.
MAY_DIFFER = {
    "stack",
    "environment",
    "github_oidc_provider",
    "monthly_budget_usd",
    "vpc_cidr",
    "availability_zones",
    "nat_gateways",
    "network",
    "interface_endpoints",
    "vpc_id",
    "public_subnet_ids",
    "private_subnet_ids",
    "isolated_subnet_ids",
    "domain_name",
    "hosted_zone_name",
    "image_digest",
    "task_cpu",
    "task_memory_mib",
    "min_tasks",
    "max_tasks",
    "in_flight_per_task",
    "scheduled_floors",
    "cache_node_type",
    "cache_replicas",
    "cache_snapshot_days",
    "log_retention_days",
    "deletion_protection",
    "secret_recovery_days",
}


def problems(stack: str = "staging", **overrides: str) -> dict[str, tuple[str | None, str, str]]:
    """key -> (value, reason, command) of every problem that `overrides` cause."""
    with pytest.raises(ConfigError) as caught:
        load_file(stack, {key.replace("aws_region", "aws:region"): value for key, value in overrides.items()})
    return {p.key: (p.value, p.reason, p.command) for p in caught.value.problems}


@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_stack_files_are_valid(stack: str) -> None:
    config = load_file(stack)
    assert config.stack == stack
    assert config.environment == {"staging": "staging", "prod": "production"}[stack]


def test_staging_and_production_differ_only_where_they_may() -> None:
    staging, production = (load_file(stack).model_dump() for stack in STACKS)
    assert {key for key in staging if staging[key] != production[key]} <= MAY_DIFFER


def test_the_stacks_can_be_peered_because_their_networks_do_not_overlap() -> None:
    staging, production = (load_file(stack) for stack in STACKS)
    assert not staging.vpc_cidr.overlaps(production.vpc_cidr)


def declared_keys() -> dict[str, dict[str, Any]]:
    """The project's own keys; `pulumi new` adds some of its own namespace."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return {key: entry for key, entry in declared.items() if ":" not in key}


def test_every_key_is_declared_with_type_default_and_description() -> None:
    declared = declared_keys()
    assert set(declared) == set(StackConfig.model_fields) - {"project", "stack", "region"}
    python = {"string": str, "integer": int, "boolean": bool}
    for key, entry in declared.items():
        assert set(entry) == {"type", "default", "description"}, key
        assert type(entry["default"]) is python[entry["type"]], key
        assert entry["description"].endswith("."), key


def test_the_declared_types_are_the_types_of_the_model() -> None:
    declared = declared_keys()
    values = load_file("prod").model_dump()
    for key, entry in declared.items():
        assert (entry["type"] == "boolean") == isinstance(values[key], bool), key
        assert (entry["type"] == "integer") == (type(values[key]) is int), key


def test_the_template_asks_for_exactly_what_has_no_usable_default() -> None:
    template = yaml.safe_load((ROOT / "Pulumi.yaml").read_text()).get("template")
    asked = {"aws:region", "environment", "owner", "cost_center", "repository"}
    # A project that `pulumi new` made is no template any more.
    assert template is None or set(template["config"]) == asked
    project, values = read_files("staging")
    with pytest.raises(ConfigError) as caught:
        parse(project, "staging", values | {f"{project}:{key}": "" for key in asked if ":" not in key})
    assert {p.key for p in caught.value.problems} | {"aws:region"} == asked


def test_all_problems_are_reported_at_once() -> None:
    found = problems(
        "prod",
        task_cpu="500",
        aws_region="eu-west-1",
        owner="",
        min_tasks="x",
        tasc_cpu="1",
        vpc_cidr="10.0.0.1/16",
    )
    assert set(found) == {"task_cpu", "aws:region", "owner", "min_tasks", "tasc_cpu", "vpc_cidr"}


def test_the_message_names_key_value_reason_and_command() -> None:
    with pytest.raises(ConfigError) as caught:
        load_file("staging", {"task_memory_mib": "1500"})
    assert str(caught.value) == (
        "1 problem in the config of stack staging:\n"
        '  task_memory_mib = "1500"\n'
        "    does not go with task_cpu 512: Fargate offers 1024, 2048, 3072 or 4096\n"
        "    mend it: pulumi config set task_memory_mib 1024 --stack staging"
    )


@pytest.mark.parametrize("region", ["us-east-1", "us-east-2", "us-west-1", "us-west-2"])
def test_every_us_region_is_accepted(region: str) -> None:
    assert load_file("staging", {"aws:region": region}).region == region


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "ca-central-1", "US-EAST-1", ""])
def test_other_regions_are_refused(region: str) -> None:
    assert set(problems(aws_region=region)) == {"aws:region"}


@pytest.mark.parametrize(
    ("stack", "key", "value", "reason"),
    [
        ("staging", "environment", "dev", "must be staging or production"),
        ("staging", "owner", "nobody", "must be an e-mail address"),
        (
            "staging",
            "owner",
            "ten%off@example.com",
            "must be an e-mail address of letters, digits and . _ + -",
        ),
        ("staging", "cost_center", "aws:platform", "must be 1 to 255 letters, digits, spaces and"),
        ("staging", "cost_center", "AWS:platform", "must be 1 to 255 letters, digits, spaces and"),
        ("staging", "cost_center", "50% platform", "must be 1 to 255 letters, digits, spaces and"),
        ("staging", "repository", "just-a-name", "must be OWNER/NAME"),
        ("staging", "vpc_cidr", "8.8.0.0/16", "must lie in a private range (RFC 1918)"),
        ("staging", "vpc_cidr", "10.0.0.0/24", "must be a /16 to /20, so that nine subnets fit"),
        ("staging", "availability_zones", "4", "must be a whole number from 2 to 3"),
        ("staging", "min_tasks", "1.0", "must be a whole number from 1 to 1000"),
        ("staging", "deletion_protection", "yes", "must be true or false"),
        (
            "staging",
            "openai_base_url",
            "http://api.openai.com/v1",
            "must be https: prompts and keys would travel",
        ),
        ("staging", "openai_base_url", "https://user:pw@api.openai.com", "must hold no credentials"),
        ("staging", "longest_stream_s", "4000", "must be a whole number from 30 to 3600"),
        ("staging", "log_retention_days", "31", "is no retention CloudWatch Logs offers"),
        ("staging", "secret_recovery_days", "5", "must be 0 (delete at once) or 7 to 30 days"),
        ("staging", "max_tasks", "0", "must be a whole number from 1 to 1000"),
        ("staging", "cache_node_type", "db.t3.micro", "must be an ElastiCache node type"),
        ("staging", "cache_node_type", "cache.foo.small", "must be an ElastiCache node type"),
        ("staging", "cache_node_type", "cache.t1.micro", "must be an ElastiCache node type of a current"),
        ("staging", "cache_node_type", "cache.m7g.small", "must be an ElastiCache node type"),
        ("staging", "cache_node_type", "cache.m7g.0xlarge", "must be an ElastiCache node type"),
        ("prod", "cache_node_type", "cache.r6gd.xlarge", "keeps data on disks"),
        ("prod", "domain_name", f"{'a' * 53}.example.com", "is longer than the 64 characters that ACM takes"),
        ("staging", "image_digest", "latest", "must be an image digest"),
        ("staging", "deployment_routing", "random", "must be weight or fastest"),
        ("staging", "model_aliases", "fast", "is not JSON"),
        ("staging", "model_aliases", '{"fast": []}', "fast.models: Value should have at least 1 item"),
        ("staging", "model_aliases", '{"a": "b", "b": "c"}', "a names b, which is an alias itself"),
        ("staging", "model_prices", "gpt-4o", "is not JSON"),
        ("staging", "model_prices", "[]", "is not a JSON object of models"),
        ("staging", "model_prices", '{"m": {"input": 1}}', "m.output is not an amount in dollars"),
        (
            "staging",
            "model_prices",
            '{"m": {"input": 1, "output": "x"}}',
            "m.output is not an amount in dollars",
        ),
        ("staging", "model_prices", '{"m": {"input": true, "output": "1"}}', "m.input is not an amount"),
        ("staging", "model_prices", '{"m": {"input": 1, "output": 1, "price": 1}}', "m.price is not one of"),
        (
            *("staging", "model_prices", '{"m": {"input": 1, "output": 1, "max_output_tokens": "x"}}'),
            "m.max_output_tokens is not a number of tokens",
        ),
        ("prod", "hosted_zone_name", "example.org", "does not hold domain_name gateway.example.com"),
        ("prod", "hosted_zone_name", "ample.com", "does not hold domain_name gateway.example.com"),
        ("prod", "image_digest", "", "is required"),
        ("prod", "min_tasks", "1", "production needs 2 tasks or more"),
        ("prod", "max_tasks", "2", "is below min_tasks 3"),
        ("prod", "requests_per_address", "2000", "is below what one key may send from one address"),
        ("prod", "scheduled_floors", "mon-fri 08:00-20:00 3", "mon-fri-0800 asks for 3 tasks, not more than"),
        ("prod", "scheduled_floors", "weekdays 8-20 6", "'weekdays 8-20 6' is not of the form"),
        ("prod", "schedule_timezone", "New York", "is no time zone of the IANA database"),
        ("prod", "cache_snapshot_days", "0", "production keeps snapshots of the cache"),
        ("staging", "vpc_id", "vpc-0123456789abcdef0", "is for network existing only"),
        ("staging", "vpc_id", "my-vpc", "must be a VPC's id"),
        ("staging", "public_subnet_ids", "subnet-01234567", "is for network existing only"),
        ("staging", "private_subnet_ids", "a,b", "'a' is no subnet's id"),
        ("staging", "isolated_subnet_ids", "subnet-01234567,subnet-01234567", "names a subnet twice"),
        ("prod", "slow_answer_s", "301", "is above longest_stream_s 300"),
        ("prod", "cache_replicas", "0", "production needs 1 replica or more"),
    ],
)
def test_a_refused_value_says_why(stack: str, key: str, value: str, reason: str) -> None:
    found = problems(stack, **{key: value})
    assert set(found) == {key}
    assert found[key][1].startswith(reason)


def test_three_zones_are_refused_where_most_accounts_have_two() -> None:
    found = problems("prod", aws_region="us-west-1")
    assert set(found) == {"availability_zones"}
    assert found["availability_zones"][2] == "pulumi config set availability_zones 2 --stack prod"


def test_production_without_a_domain_is_refused_naming_what_would_allow_it() -> None:
    found = problems("prod", domain_name="", hosted_zone_name="")
    assert found["allow_plaintext_http"][2] == "pulumi config set allow_plaintext_http true --stack prod"
    allowed = load_file("prod", {"domain_name": "", "hosted_zone_name": "", "allow_plaintext_http": "true"})
    assert not allowed.serves_https


def test_without_nat_gateways_aws_and_openai_must_be_within_reach() -> None:
    found = problems("staging", nat_gateways="none")
    assert found["interface_endpoints"][2] == "pulumi config set interface_endpoints true --stack staging"
    assert "no task reaches api.openai.com" in found["openai_base_url"][1]
    assert set(found) == {"interface_endpoints", "openai_base_url"}
    private = {"nat_gateways": "none", "interface_endpoints": "true"}
    private["openai_base_url"] = "https://openai.internal.example.com/v1"
    assert load_file("staging", private).nat_gateways == "none"


def test_an_existing_network_is_named_whole() -> None:
    found = problems("prod", network="existing")
    tiers = {"public_subnet_ids", "private_subnet_ids", "isolated_subnet_ids"}
    assert set(found) == {"vpc_id", *tiers}
    for tier in tiers:
        assert found[tier][1] in ("is required", "must name 3 subnets, one a zone of availability_zones")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("owner", "first.last+gateway_team@example.com"),
        ("cost_center", "R+D / platform: gateway @ 4711_a=b-c"),
        ("cost_center", "awsome"),
        ("domain_name", f"{'a' * 52}.example.com"),
        ("cache_node_type", "cache.t4g.medium"),
        ("cache_node_type", "cache.r7g.16xlarge"),
        ("cache_node_type", "cache.m5.24xlarge"),
        ("cache_node_type", "cache.c7gn.large"),
    ],
)
def test_what_aws_takes_is_accepted(key: str, value: str) -> None:
    zone = {"hosted_zone_name": "example.com"} if key == "domain_name" else {}
    assert getattr(load_file("staging", {key: value, **zone}), key) == value


def test_every_node_type_that_has_a_price_is_accepted() -> None:
    for node_type in prices_of("us-east-1").data["cache_nodes"]:
        assert load_file("staging", {"cache_node_type": node_type}).cache_node_type == node_type


def test_staging_without_a_domain_is_accepted() -> None:
    assert not load_file("staging", {"domain_name": ""}).serves_https


def test_an_unknown_key_is_refused_with_the_key_that_was_meant() -> None:
    value, reason, command = problems(task_cpus="512")["task_cpus"]
    assert (value, reason) == ("512", "is no key of this project; did you mean task_cpu?")
    assert command == "pulumi config rm task_cpus --stack staging"


def test_a_stack_without_a_file_is_refused_naming_those_there_are() -> None:
    with pytest.raises(ConfigError, match="there is prod, staging"):
        load_file("producton")


@pytest.mark.parametrize(
    ("stack", "broken"),
    [
        ("staging", {"task_cpu": "513", "task_memory_mib": "7", "min_tasks": "9", "max_tasks": "3"}),
        ("staging", {"owner": "", "cost_center": "", "repository": "", "environment": ""}),
        ("staging", {"log_retention_days": "x", "secret_recovery_days": "3", "target_cpu_percent": "1e3"}),
        ("prod", {"min_tasks": "0", "max_tasks": "-5", "hosted_zone_name": "", "vpc_cidr": "172.16.0.0/12"}),
        (
            "prod",
            {"domain_name": "", "aws:region": "us-east-9", "environment": "prod", "cache_replicas": "99"},
        ),
    ],
)
def test_following_the_commands_mends_the_config(stack: str, broken: dict[str, str]) -> None:
    values = dict(broken)
    for _ in range(3):
        try:
            load_file(stack, values)
        except ConfigError as error:
            for problem in error.problems:
                *_, verb, key, value, flag, named = shlex.split(problem.command)
                assert (verb, flag, named) == ("set", "--stack", stack)
                values[key] = value
        else:
            return
    load_file(stack, values)


def test_a_value_marked_secret_is_never_shown() -> None:
    project, values = read_files("staging")
    values |= {f"{project}:owner": "hunter2", f"{project}:passwort": "hunter3"}
    with pytest.raises(ConfigError) as caught:
        parse(project, "staging", values, {f"{project}:owner", f"{project}:passwort"})
    assert "hunter" not in str(caught.value)


def test_keys_that_pulumi_rewrote_are_read_alike(tmp_path: Path) -> None:
    """`pulumi config set` gives every key its namespace, writes numbers as text and adds a salt."""
    written: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())
    as_text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in written["config"].items()}
    rewritten = {k if ":" in k else f"renamed-by-a-fork:{k}": v for k, v in as_text.items()}
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text()) | {"name": "renamed-by-a-fork"}
    declared["config"]["pulumi:tags"] = {"value": {"pulumi:template": "an address"}}
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump(declared))
    (tmp_path / "Pulumi.prod.yaml").write_text(
        yaml.safe_dump({"config": rewritten, "encryptionsalt": "v1:x"})
    )
    ours = load_file("prod").model_dump(exclude={"project"})
    assert load_file("prod", root=tmp_path).model_dump(exclude={"project"}) == ours


def test_a_running_program_reads_what_the_engine_hands_it(monkeypatch: pytest.MonkeyPatch) -> None:
    project, values = read_files("staging")
    monkeypatch.setattr(pulumi, "get_project", lambda: project)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "staging")
    pulumi.runtime.set_all_config(values | {"aws:skipMetadataApiCheck": "true"})
    try:
        assert load() == load_file("staging")
    finally:
        pulumi.runtime.set_all_config({})


def test_the_config_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_file("staging").task_cpu = 1024  # type: ignore[misc]


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=4,
)
AMOUNTS = st.sampled_from([0, 1, "0.15", "2", 0.5, 1e6])
TOKENS = ("context_tokens", "max_output_tokens")
OWN_PRICES = st.dictionaries(
    st.text(max_size=9),
    st.fixed_dictionaries(
        {"input": AMOUNTS | ANYTHING, "output": AMOUNTS},
        optional={
            **dict.fromkeys(("cached_input", "price"), AMOUNTS | ANYTHING),
            **dict.fromkeys(TOKENS, st.integers(-1, 10**12) | ANYTHING),
        },
    )
    | ANYTHING,
    max_size=3,
)
ALIASES = st.dictionaries(st.text(max_size=9), st.text(max_size=9) | ANYTHING, max_size=3)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "model_prices": OWN_PRICES.map(json.dumps),
    "model_aliases": ALIASES.map(json.dumps),
    "openai_base_url": st.from_regex(r"https?://(localhost|\[::1\]|[a-z@:]{1,9})[ -~]{0,9}", fullmatch=True),
}


KEYS = sorted(set(StackConfig.model_fields) - {"project", "stack", "region"})


def value_of(key: str) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just(key), VALUES.get(key, st.nothing()) | st.text())


@given(st.lists(st.sampled_from(KEYS).flatmap(value_of) | st.sampled_from(list(VALUES)).flatmap(value_of)))
def test_a_value_is_refused_with_reason_and_command_or_the_gateway_takes_it(
    overrides: list[tuple[str, str]],
) -> None:
    try:
        config = load_file("staging", dict(overrides))
    except ConfigError as error:
        for problem in error.problems:
            assert problem.reason
            assert problem.command.startswith(f"pulumi config set {problem.key} ")
    else:
        assert config.max_tasks >= config.min_tasks
        assert gateway_settings(config).model_prices == config.model_prices


@given(OWN_PRICES.map(json.dumps))
def test_prices_are_taken_by_the_stack_and_the_gateway_or_by_neither(prices: str) -> None:
    try:
        config = load_file("staging", {"model_prices": prices})
    except ConfigError:
        with pytest.raises(PricesError):
            parse_prices(prices)
    else:
        assert parse_prices(config.model_prices) == parse_prices(prices)
        assert gateway_settings(config)


def gateway_settings(config: StackConfig) -> Settings:
    """What the gateway makes of what the stack tells it; names and addresses that AWS gives are invented."""
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:vault-AbCdEf"
    told = plain_environment(
        config,
        table_name="gateway",
        bucket_name="data",
        cache_url="rediss://cache.example.com:6379",
        cache_secret_arn=secret,
        openai_secret_arn=secret,
        alert_topic_arn="arn:aws:sns:us-east-1:123456789012:alerts",
        knowledge_queue_url="https://sqs.us-east-1.amazonaws.com/123456789012/knowledge",
    )
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**told, "GATEWAY_KEY_PEPPER": "p" * 43}.items():
            environment.setenv(name, str(value))
        return load_settings()
