"""Each invariant sees the mistake it is there for, planted into the real graph of production."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from policy.access import (
    buckets_are_private,
    every_wildcard_resource_has_a_reason,
    no_wildcard_action,
    nobody_is_everybody,
    services_act_for_this_account_only,
)
from policy.container import (
    containers_are_unprivileged,
    no_secret_in_plain_environment,
    secrets_come_by_reference,
)
from policy.encryption import cache_is_authenticated_over_tls, encrypted_with_the_stacks_key, keys_rotate
from policy.execute_command import nobody_can_enter_by_accident, sessions_are_logged
from policy.front import (
    balancers_keep_access_logs,
    firewall_logs_hold_no_key,
    public_balancers_stand_behind_a_firewall,
)
from policy.invariants import INVARIANTS, violations
from policy.lifecycle import (
    autoscaling_owns_the_number_of_tasks,
    every_log_group_has_a_retention,
    everything_is_tagged,
    production_is_protected,
    table_can_be_restored,
)
from policy.network import (
    cache_has_no_way_out,
    https_where_there_is_a_certificate,
    nothing_has_a_public_address,
    public_ingress_only_at_the_balancer,
    security_groups_are_acyclic,
)
from policy.operators import (
    operators_do_not_read_data,
    operators_enter_no_task,
    roles_are_bounded,
    workflows_are_known,
)
from policy.resource import Resource, containers
from policy.secrets import every_secret_names_its_readers
from policy.spend import spending_is_watched
from policy.watch import alarms_reach_people, deployments_roll_back
from tests.infra.graph import Registered

Mutate = Callable[..., list[Resource]]
Graph = Sequence[Registered]

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"

# What is planted -> which invariant says so, and with which words.
CASES: list[tuple[Callable[[Sequence[Resource]], list[str]], tuple[str, str, str, Any], str]] = [
    (
        public_ingress_only_at_the_balancer,
        ("ReplicationGroup", "cache", "securityGroupIds", ["securityGroup-balancer"]),
        "ReplicationGroup cache shares securityGroup-balancer with the balancer and is public like it",
    ),
    (
        public_ingress_only_at_the_balancer,
        ("SecurityGroupIngressRule", "internet-to-balancer-443", "toPort", 8080),
        "80 and 443 are public",
    ),
    (
        public_ingress_only_at_the_balancer,
        ("SecurityGroup", "cache", "ingress", [{"cidrBlocks": ["0.0.0.0/0"]}]),
        "SecurityGroup cache has rules inside",
    ),
    (
        nothing_has_a_public_address,
        ("Service", "service", "networkConfiguration.assignPublicIp", True),
        "Service service gives its tasks public addresses",
    ),
    (
        nothing_has_a_public_address,
        ("Subnet", "network-isolated-0", "mapPublicIpOnLaunch", True),
        "Subnet network-isolated-0 gives public addresses",
    ),
    (
        cache_has_no_way_out,
        ("SubnetGroup", "cache", "subnetIds", ["subnet-network-private-0"]),
        "stands in subnet-network-private-0, which has a route to the internet",
    ),
    (
        cache_has_no_way_out,
        ("SubnetGroup", "cache", "subnetIds", ["subnet-unknown"]),
        "has the VPC's main route table",
    ),
    (
        https_where_there_is_a_certificate,
        ("Listener", "balancer-https", "sslPolicy", "ELBSecurityPolicy-2016-08"),
        "allows old TLS",
    ),
    (
        https_where_there_is_a_certificate,
        ("Listener", "balancer-http", "defaultActions.0.type", "forward"),
        "Listener balancer-http answers in clear",
    ),
    (
        encrypted_with_the_stacks_key,
        ("Table", "gateway", "serverSideEncryption", None),
        "Table gateway is not encrypted with the stack's key",
    ),
    (
        encrypted_with_the_stacks_key,
        ("Table", "gateway", "serverSideEncryption.enabled", False),
        "Table gateway names a key and does not turn encryption on",
    ),
    (
        encrypted_with_the_stacks_key,
        ("LogGroup", "logs-gateway", "kmsKeyId", "arn:aws:kms:us-east-1:123456789012:key/another"),
        "LogGroup logs-gateway is not encrypted with the stack's key",
    ),
    (
        encrypted_with_the_stacks_key,
        ("BucketServerSideEncryptionConfiguration", "data", "rules", [{}]),
        "Bucket data is not encrypted with the stack's key",
    ),
    (
        encrypted_with_the_stacks_key,
        ("LoadBalancer", "balancer", "accessLogs.bucket", "another"),
        "Bucket logs is not encrypted with the stack's key",
    ),
    (
        encrypted_with_the_stacks_key,
        ("Repository", "registry", "encryptionConfigurations.0.encryptionType", "AES256"),
        "Repository registry does not encrypt images with KMS",
    ),
    (
        encrypted_with_the_stacks_key,
        ("Queue", "knowledge", "kmsMasterKeyId", None),
        "Queue knowledge is not encrypted with the stack's key",
    ),
    (
        encrypted_with_the_stacks_key,
        ("Queue", "knowledge-dead-letters", "kmsMasterKeyId", "alias/aws/sqs"),
        "Queue knowledge-dead-letters is not encrypted with the stack's key",
    ),
    (keys_rotate, ("Key", "encryption", "enableKeyRotation", False), "Key encryption does not rotate"),
    (
        cache_is_authenticated_over_tls,
        ("ReplicationGroup", "cache", "transitEncryptionMode", "preferred"),
        "ReplicationGroup cache accepts connections without TLS",
    ),
    (
        cache_is_authenticated_over_tls,
        ("ReplicationGroup", "cache", "userGroupIds", []),
        "ReplicationGroup cache asks nobody who they are",
    ),
    (
        cache_is_authenticated_over_tls,
        ("User", "cache-gateway", "authenticationMode.type", "no-password-required"),
        "User cache-gateway needs no password",
    ),
    (
        cache_is_authenticated_over_tls,
        ("User", "cache-default", "accessString", "on ~* +@read"),
        "User cache-default lets in whoever gives no user name",
    ),
    (
        cache_is_authenticated_over_tls,
        ("User", "cache-gateway", "accessString", "on ~* +@all"),
        "User cache-gateway may run every command",
    ),
    (
        buckets_are_private,
        ("BucketPublicAccessBlock", "data", "blockPublicPolicy", False),
        "Bucket data does not block public access",
    ),
    (
        buckets_are_private,
        ("BucketOwnershipControls", "data", "rule.objectOwnership", "ObjectWriter"),
        "Bucket data still takes access control lists",
    ),
    (
        buckets_are_private,
        ("BucketPolicy", "data", "policy", '{"Version":"2012-10-17","Statement":[]}'),
        "Bucket data may be used without TLS",
    ),
    (
        production_is_protected,
        ("ReplicationGroup", "cache", "snapshotRetentionLimit", 0),
        "ReplicationGroup cache keeps no snapshots",
    ),
    (
        production_is_protected,
        ("Table", "gateway", "deletionProtectionEnabled", False),
        "Table gateway can be deleted on AWS at once",
    ),
    (
        production_is_protected,
        ("LoadBalancer", "balancer", "enableDeletionProtection", False),
        "LoadBalancer balancer can be deleted on AWS at once",
    ),
    (
        production_is_protected,
        ("Secret", "vault-pepper", "recoveryWindowInDays", 0),
        "Secret vault-pepper can be deleted on AWS at once",
    ),
    (
        production_is_protected,
        ("Key", "encryption", "deletionWindowInDays", 7),
        "Key encryption can be deleted on AWS at once",
    ),
    (
        production_is_protected,
        ("Bucket", "data", "forceDestroy", True),
        "Bucket data can be deleted on AWS at once",
    ),
    (
        production_is_protected,
        ("Repository", "registry", "forceDelete", True),
        "Repository registry can be deleted on AWS at once",
    ),
    (
        production_is_protected,
        ("ReplicationGroup", "cache", "multiAzEnabled", False),
        "ReplicationGroup cache does not fail over to another zone",
    ),
    (
        table_can_be_restored,
        ("Table", "gateway", "pointInTimeRecovery.enabled", False),
        "Table gateway has no point-in-time recovery",
    ),
    (
        table_can_be_restored,
        ("BucketVersioning", "data", "versioningConfiguration.status", "Suspended"),
        "Bucket data keeps no versions",
    ),
    (
        every_log_group_has_a_retention,
        ("LogGroup", "logs-flow-logs", "retentionInDays", 0),
        "LogGroup logs-flow-logs is kept for ever",
    ),
    (
        everything_is_tagged,
        ("aws", "aws", "defaultTags", '{"tags": {"project": "openai-gateway"}}'),
        "Vpc network lacks the tags cost-center, environment, owner, repository, stack",
    ),
    (
        everything_is_tagged,
        ("Vpc", "network", "tags", {"environment": "other"}),
        "Vpc network overrides the tags ['environment']",
    ),
]


@pytest.mark.parametrize(
    ("invariant", "mistake", "words"), CASES, ids=[f"{c[0].__name__}-{c[1][1]}-{c[1][2]}" for c in CASES]
)
def test_a_planted_mistake_is_said(
    invariant: Callable[[Sequence[Resource]], list[str]],
    mistake: tuple[str, str, str, Any],
    words: str,
    with_changed: Mutate,
) -> None:
    changed = with_changed(*mistake)
    assert any(words in sentence for sentence in invariant(changed)), invariant(changed)
    assert violations(changed), "the invariant is not in INVARIANTS"


def test_every_invariant_has_a_mistake_that_it_sees() -> None:
    by_hand = {
        security_groups_are_acyclic,
        no_secret_in_plain_environment,
        secrets_come_by_reference,
        every_secret_names_its_readers,  # in test_secrets.py
        balancers_keep_access_logs,  # in test_front.py
        firewall_logs_hold_no_key,  # in test_front.py
        public_balancers_stand_behind_a_firewall,  # in test_front.py
        alarms_reach_people,  # in test_watch.py
        deployments_roll_back,  # in test_watch.py
        containers_are_unprivileged,
        no_wildcard_action,
        every_wildcard_resource_has_a_reason,
        nobody_is_everybody,
        services_act_for_this_account_only,
        autoscaling_owns_the_number_of_tasks,
        roles_are_bounded,  # these four in test_operators.py
        workflows_are_known,
        operators_do_not_read_data,
        operators_enter_no_task,
        sessions_are_logged,  # these two in test_execute_command.py
        nobody_can_enter_by_accident,
        spending_is_watched,  # in test_spend.py
    }
    assert {case[0] for case in CASES} | by_hand == set(INVARIANTS)


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "8.8.0.0/16", "10.0.0.0/7"])
def test_a_cache_open_to_public_addresses_is_said(cidr: str, graph: Graph) -> None:
    rule = {"securityGroupId": "securityGroup-cache", "cidrIpv4": cidr, "fromPort": 6379, "toPort": 6379}
    found = public_ingress_only_at_the_balancer([*graph, Resource(INGRESS, "oops", rule)])
    assert found == [
        f"SecurityGroupIngressRule oops admits {cidr} to securityGroup-cache, which is no balancer's"
    ]


def test_ipv6_is_public_too(graph: Graph) -> None:
    rule = {"securityGroupId": "securityGroup-tasks", "cidrIpv6": "::/0", "fromPort": 8080, "toPort": 8080}
    assert public_ingress_only_at_the_balancer([*graph, Resource(INGRESS, "oops", rule)])


def test_a_private_address_range_is_not_public(graph: Graph) -> None:
    rule = {"securityGroupId": "securityGroup-tasks", "cidrIpv4": "10.0.0.0/8", "fromPort": 1, "toPort": 1}
    assert public_ingress_only_at_the_balancer([*graph, Resource(INGRESS, "peer", rule)]) == []


def test_a_cycle_of_security_groups_is_said(graph: Graph) -> None:
    back = {
        "securityGroupId": "securityGroup-balancer",
        "referencedSecurityGroupId": "securityGroup-cache",
        "fromPort": 80,
        "toPort": 80,
    }
    found = security_groups_are_acyclic([*graph, Resource(INGRESS, "back", back)])
    assert "securityGroup-tasks can be reached from itself" in found


def with_container(graph: Graph, change: Callable[[dict[str, Any]], None]) -> list[Resource]:
    """The graph with the container definition changed in place by `change`."""
    changed: list[Resource] = []
    for resource in graph:
        if resource.type.endswith(":TaskDefinition"):
            [container] = json.loads(resource.properties["containerDefinitions"])
            change(container)
            text = json.dumps([container])
            changed.append(
                replace(resource, properties={**resource.properties, "containerDefinitions": text})
            )
        else:
            changed.append(resource)
    assert [c for _, c in containers(changed)] != [c for _, c in containers(graph)]
    return changed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_KEY_PEPPER", "anything"),
        ("OPENAI_API_KEY", "anything"),
        ("GATEWAY_NOTE", "sk-proj-abcdefghijklmnop"),
        ("GATEWAY_CACHE_URL", "rediss://gateway:hunter2@cache:6379"),
        ("GATEWAY_NOTE", "AKIAIOSFODNN7EXAMPLE"),
    ],
)
def test_a_secret_in_plain_environment_is_said(name: str, value: str, graph: Graph) -> None:
    changed = with_container(graph, lambda c: c["environment"].append({"name": name, "value": value}))
    assert no_secret_in_plain_environment(changed) == [
        f"TaskDefinition task: {name} is a secret in plain environment; pass it by reference"
    ]


def test_a_secret_of_another_stack_is_said(graph: Graph) -> None:
    foreign = {"name": "X", "valueFrom": "arn:aws:secretsmanager:us-east-1:1:secret:other"}
    changed = with_container(graph, lambda c: c["secrets"].append(foreign))
    assert "which is no secret of this stack" in secrets_come_by_reference(changed)[0]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("user", "0", "runs as root"),
        ("readonlyRootFilesystem", False, "may write to its root file system"),
        ("linuxParameters", {}, "keeps capabilities"),
        ("privileged", True, "is privileged"),
        ("image", "registry/gateway:latest", "runs an image that a moved tag can change"),
    ],
)
def test_a_privileged_container_is_said(key: str, value: Any, words: str, graph: Graph) -> None:
    changed = with_container(graph, lambda container: container.update({key: value}))
    assert containers_are_unprivileged(changed) == [f"TaskDefinition task: container gateway {words}"]


def policy(*statements: dict[str, Any], kind: str = "aws:iam/rolePolicy:RolePolicy") -> list[Resource]:
    return [Resource(kind, "oops", {"policy": json.dumps({"Statement": list(statements)})})]


@pytest.mark.parametrize("action", ["s3:*", "*", ["s3:GetObject", "s3:Put*"], "s3:Get?bject"])
def test_a_wildcard_action_is_said(action: str | list[str]) -> None:
    statement = {"Sid": "Files", "Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::bucket"}
    [sentence] = no_wildcard_action(policy(statement))
    assert sentence.startswith("RolePolicy oops, Files: allows ")


def test_not_action_is_said() -> None:
    statement = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::bucket"}
    assert "NotAction" in no_wildcard_action(policy(statement))[0]


def test_only_the_account_may_manage_a_key_by_pattern() -> None:
    def key_policy(principal: str) -> list[Resource]:
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": principal},
            "Action": "kms:*",
            "Resource": "*",
        }
        return policy(statement, kind="aws:kms/key:Key")

    assert no_wildcard_action(key_policy("arn:aws:iam::123456789012:root")) == []
    assert no_wildcard_action(key_policy("arn:aws:iam::123456789012:role/someone"))


@pytest.mark.parametrize("resource", ["*", "arn:aws:s3:::*", "arn:aws:dynamodb:us-east-1:1:*"])
def test_a_wildcard_resource_without_a_reason_is_said(resource: str) -> None:
    statement = {"Sid": "X", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [resource]}
    assert every_wildcard_resource_has_a_reason(policy(statement)) == [
        "RolePolicy oops, X: allows s3:GetObject on every resource"
    ]


def test_a_wildcard_resource_is_fine_for_an_action_that_takes_none() -> None:
    statement = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
    assert every_wildcard_resource_has_a_reason(policy(statement)) == []


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["*"]}])
def test_a_policy_that_lets_everybody_in_is_said(principal: Any) -> None:
    statement = {"Sid": "Open", "Effect": "Allow", "Principal": principal, "Action": "s3:GetObject"}
    found = nobody_is_everybody(policy(statement, kind="aws:s3/bucketPolicy:BucketPolicy"))
    assert found == ["BucketPolicy oops, Open: allows everybody"]


def test_a_role_that_another_account_could_have_taken_is_said() -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = Resource("aws:iam/role:Role", "r", {"assumeRolePolicy": json.dumps({"Statement": [trust]})})
    assert "on behalf of another account" in services_act_for_this_account_only([role])[0]


def test_a_resource_of_the_default_provider_is_said(graph: Graph) -> None:
    stray = Resource("aws:sqs/queue:Queue", "stray", {})
    assert [s for s in everything_is_tagged([*graph, stray]) if s.startswith("Queue stray lacks the tags")]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Table", "gateway"),
        ("Service", "service"),
        ("Record", "balancer-alias"),
        ("RouteTableAssociation", "network-private-0"),
        ("SecurityGroupIngressRule", "balancer-to-tasks"),
        ("WebAclAssociation", "firewall"),
        ("BucketPublicAccessBlock", "data"),
        ("SecretPolicy", "secret-access-openai"),
    ],
)
def test_what_pulumi_may_delete_in_production_is_said(kind: str, name: str, graph: Graph) -> None:
    changed = [
        replace(r, protect=False) if r.type.endswith(f":{kind}") and r.name == name else r for r in graph
    ]
    assert production_is_protected(changed) == [f"{kind} {name} is not protected in Pulumi"]


def test_setting_back_the_number_of_tasks_is_said(graph: Graph) -> None:
    changed = [replace(r, ignore_changes=()) if r.type.endswith("ecs/service:Service") else r for r in graph]
    assert autoscaling_owns_the_number_of_tasks(changed) == ["Service service is set back to its first size"]
