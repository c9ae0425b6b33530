"""Both committed stacks, whole, satisfy every invariant, in whichever US region they stand."""

import pytest

from policy.invariants import INVARIANTS, Invariant, violations
from policy.resource import of_type
from tests.infra.graph import StackGraph, stack_graph


@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda invariant: str(invariant.__name__))
def test_both_stacks_satisfy(invariant: Invariant, either: StackGraph) -> None:
    broken = invariant(either.resources)
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("region", ["us-east-2", "us-west-1", "us-west-2"])
@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_either_stack_satisfies_every_invariant_in_every_other_region(stack: str, region: str) -> None:
    # What the refusal below says: most accounts have two zones there.
    zones = {"availability_zones": "2"} if region == "us-west-1" else {}
    graph = stack_graph(stack, aws_region=region, **zones)
    broken = violations(graph.resources)
    assert not broken, "\n".join(broken)
    elsewhere = [r for r in graph.resources if "us-east-1" in str(r.properties)]
    assert elsewhere == []


def test_a_region_with_too_few_zones_is_named_with_what_mends_it() -> None:
    with pytest.raises(AssertionError, match="pulumi config set availability_zones 2"):
        stack_graph("prod", aws_region="us-west-1")


def test_invariants_look_at_something(either: StackGraph) -> None:
    """A predicate over a type that the program no longer makes would hold for ever."""
    for kind in (
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "lb/loadBalancer:LoadBalancer",
        "lb/listener:Listener",
        "ec2/subnet:Subnet",
        "ec2/route:Route",
        "ec2/routeTableAssociation:RouteTableAssociation",
        "elasticache/subnetGroup:SubnetGroup",
        "elasticache/replicationGroup:ReplicationGroup",
        "elasticache/user:User",
        "elasticache/userGroup:UserGroup",
        "cloudwatch/logGroup:LogGroup",
        "dynamodb/table:Table",
        "ecr/repository:Repository",
        "secretsmanager/secret:Secret",
        "sns/topic:Topic",
        "sqs/queue:Queue",
        "sqs/queuePolicy:QueuePolicy",
        "sns/topicPolicy:TopicPolicy",
        "sns/topicSubscription:TopicSubscription",
        "cloudwatch/metricAlarm:MetricAlarm",
        "kms/key:Key",
        "s3/bucket:Bucket",
        "s3/bucketPolicy:BucketPolicy",
        "wafv2/webAcl:WebAcl",
        "wafv2/webAclAssociation:WebAclAssociation",
        "wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        "iam/role:Role",
        "iam/rolePolicy:RolePolicy",
        "ecs/taskDefinition:TaskDefinition",
        "ecs/service:Service",
        "appautoscaling/target:Target",
    ):
        assert of_type(either.resources, kind), kind


def test_every_resource_belongs_to_a_component_and_a_component_only_to_the_stack(either: StackGraph) -> None:
    types = {r.urn: r.type for r in either.resources}
    for resource in either.resources:
        if resource.custom and not resource.type.startswith("pulumi:providers:"):
            assert types[resource.parent].startswith("gateway:infra:"), resource
        else:
            assert resource.parent.endswith(f"::{resource.parent.split('::')[-1]}"), resource
            assert resource.parent not in types, resource


def test_nothing_secret_but_what_must_be_is_given_to_a_resource(either: StackGraph) -> None:
    """Secrets Manager holds the values; Pulumi sees throw-away passwords and the registry's token only."""
    secret = {(r.type.rpartition(":")[2], key) for r in either.resources for key in r.secret_inputs}
    assert secret - {("Image", "registries")} == {("User", "authenticationMode")}
    assert either.all("SecretVersion") == []


def test_staging_and_production_are_made_of_the_same_parts(
    staging: StackGraph, production: StackGraph
) -> None:
    kinds = [{r.type for r in graph.resources} for graph in (staging, production)]
    assert kinds[0] - kinds[1] == {
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "docker-build:index:Image",
    }
    assert kinds[1] - kinds[0] == {
        "aws:acm/certificate:Certificate",
        "aws:acm/certificateValidation:CertificateValidation",
        "aws:route53/record:Record",
        "gateway:infra:Domain",
    }
