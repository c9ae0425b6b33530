"""What the handlers create is on local AWS as the program asked for it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import local.provider
from local.aws.client import LocalAws
from local.provider.mocks import CreatedResource, LocalAwsMocks, default_tags_of, plain
from local.provider.registry import (
    Created,
    InvokeRequest,
    MissingInputError,
    ResourceRequest,
    UnknownTypeError,
    invoke_handler,
    resource_handler,
    resource_types,
)


class Maker:
    """Creates resources as the mock seam does, under names of one test."""

    def __init__(self, aws: LocalAws, unique: str) -> None:
        self.aws = aws
        self.unique = unique

    def __call__(self, token: str, logical: str = "it", /, **inputs: Any) -> Created:
        request = ResourceRequest(self.aws, token, f"{self.unique}-{logical}", inputs, {"stack": "test"})
        return resource_handler(token)(request)


@pytest.fixture
def make(aws: LocalAws, unique: str) -> Maker:
    return Maker(aws, unique)


@pytest.fixture
def vpc_id(make: Maker) -> str:
    return make("aws:ec2/vpc:Vpc", cidrBlock="10.9.0.0/16", enableDnsHostnames=True).id


@pytest.fixture
def subnet_ids(make: Maker, vpc_id: str) -> list[str]:
    zones = invoke_handler("aws:index/getAvailabilityZones:getAvailabilityZones")(InvokeRequest(make.aws, {}))
    return [
        make(
            "aws:ec2/subnet:Subnet", zone, vpcId=vpc_id, cidrBlock=f"10.9.{i}.0/24", availabilityZone=zone
        ).id
        for i, zone in enumerate(zones["names"][:2])
    ]


@pytest.fixture
def key_arn(make: Maker) -> str:
    created = make("aws:kms/key:Key", enableKeyRotation=True, rotationPeriodInDays=90)
    return str(created.outputs["arn"])


def test_the_listed_services_register_well_formed_types() -> None:
    assert all(
        re.fullmatch(r"(aws:\w+/\w+:\w+|docker-build:index:Image)", token) for token in resource_types()
    )
    names = {path.stem for path in Path(local.provider.__path__[0]).glob("*.py")}
    listed = {module.__name__.rpartition(".")[2] for module in local.provider.SERVICES}
    assert listed == names - {"__init__", "registry", "mocks", "ec2_tags"}


def test_an_unknown_type_and_an_unknown_function_are_errors_that_name_them() -> None:
    with pytest.raises(UnknownTypeError, match=r"resource type aws:rds/instance:Instance.*local/provider"):
        resource_handler("aws:rds/instance:Instance")
    with pytest.raises(UnknownTypeError, match="function aws:ec2/getAmi:getAmi"):
        invoke_handler("aws:ec2/getAmi:getAmi")


def test_a_missing_input_is_named_with_its_resource(make: Maker) -> None:
    with pytest.raises(MissingInputError, match=r"aws:ec2/vpc:Vpc test-\d+-it: cidrBlock is not set"):
        make("aws:ec2/vpc:Vpc")


def test_a_vpc_has_its_attributes_tags_and_defaults(make: Maker, vpc_id: str) -> None:
    found = make.aws.call("ec2", "describe_vpcs", VpcIds=[vpc_id])["Vpcs"][0]
    assert found["CidrBlock"] == "10.9.0.0/16"
    assert {"Key": "stack", "Value": "test"} in found["Tags"]
    dns = make.aws.call("ec2", "describe_vpc_attribute", VpcId=vpc_id, Attribute="enableDnsHostnames")
    assert dns["EnableDnsHostnames"]["Value"] is True


def test_a_new_security_group_lets_nothing_in_or_out_but_its_rules(make: Maker, vpc_id: str) -> None:
    group = make("aws:ec2/securityGroup:SecurityGroup", vpcId=vpc_id, description="d").id
    other = make("aws:ec2/securityGroup:SecurityGroup", "other", vpcId=vpc_id).id
    rule = make(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", securityGroupId=group, ipProtocol="tcp",
        fromPort=8080, toPort=8080, referencedSecurityGroupId=other,
    )  # fmt: skip
    assert rule.id.startswith("sgr-")
    found = make.aws.call("ec2", "describe_security_groups", GroupIds=[group])["SecurityGroups"][0]
    assert found["IpPermissionsEgress"] == []
    (permission,) = found["IpPermissions"]
    assert (permission["FromPort"], permission["UserIdGroupPairs"][0]["GroupId"]) == (8080, other)


def test_the_default_security_group_is_emptied(make: Maker, vpc_id: str) -> None:
    group = make("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", vpcId=vpc_id).id
    found = make.aws.call("ec2", "describe_security_groups", GroupIds=[group])["SecurityGroups"][0]
    assert (found["GroupName"], found["IpPermissions"], found["IpPermissionsEgress"]) == ("default", [], [])


def test_routes_lead_where_they_were_told(make: Maker, vpc_id: str, subnet_ids: list[str]) -> None:
    internet = make("aws:ec2/internetGateway:InternetGateway", vpcId=vpc_id).id
    address = make("aws:ec2/eip:Eip", domain="vpc")
    nat = make("aws:ec2/natGateway:NatGateway", subnetId=subnet_ids[0], allocationId=address.id).id
    targets = {"public": {"gatewayId": internet}, "private": {"natGatewayId": nat}}
    for subnet_id, (name, target) in zip(subnet_ids, targets.items(), strict=True):
        table = make("aws:ec2/routeTable:RouteTable", name, vpcId=vpc_id).id
        make("aws:ec2/route:Route", name, routeTableId=table, destinationCidrBlock="0.0.0.0/0", **target)
        make(
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            name,
            routeTableId=table,
            subnetId=subnet_id,
        )
        found = make.aws.call("ec2", "describe_route_tables", RouteTableIds=[table])["RouteTables"][0]
        (route,) = [route for route in found["Routes"] if route["DestinationCidrBlock"] == "0.0.0.0/0"]
        assert (
            target.items()
            & {"gatewayId": route.get("GatewayId"), "natGatewayId": route.get("NatGatewayId")}.items()
        )
        assert found["Associations"][-1]["SubnetId"] == subnet_id


def test_an_endpoint_and_a_flow_log_belong_to_their_vpc(make: Maker, vpc_id: str) -> None:
    endpoint = make(
        "aws:ec2/vpcEndpoint:VpcEndpoint", vpcId=vpc_id, serviceName="com.amazonaws.us-east-1.s3",
        vpcEndpointType="Gateway",
    )  # fmt: skip
    assert endpoint.outputs["prefixListId"].startswith("pl-")
    group = make("aws:cloudwatch/logGroup:LogGroup", name=f"/{make.unique}/flow", retentionInDays=30)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = make("aws:iam/role:Role", assumeRolePolicy=trust)
    made = make(
        "aws:ec2/flowLog:FlowLog", vpcId=vpc_id, trafficType="REJECT", logDestination=group.outputs["arn"],
        iamRoleArn=role.outputs["arn"],
    )  # fmt: skip
    found = make.aws.call("ec2", "describe_flow_logs", FlowLogIds=[made.id])["FlowLogs"][0]
    assert (found["ResourceId"], found["TrafficType"]) == (vpc_id, "REJECT")


def test_a_key_rotates_and_has_its_alias(make: Maker, key_arn: str) -> None:
    make("aws:kms/alias:Alias", name=f"alias/{make.unique}", targetKeyId=key_arn)
    assert make.aws.call("kms", "describe_key", KeyId=f"alias/{make.unique}")["KeyMetadata"]["Arn"] == key_arn
    assert make.aws.call("kms", "get_key_rotation_status", KeyId=key_arn)["KeyRotationEnabled"] is True


def test_a_secret_is_made_without_a_value_under_its_key(make: Maker, key_arn: str) -> None:
    made = make("aws:secretsmanager/secret:Secret", kmsKeyId=key_arn)
    found = make.aws.call("secretsmanager", "describe_secret", SecretId=made.id)
    assert found["KmsKeyId"] == key_arn
    assert not found.get("VersionIdsToStages")


def test_a_table_is_encrypted_expires_and_is_backed_up(make: Maker, key_arn: str) -> None:
    names = [{"name": name, "type": "S"} for name in ("pk", "sk", "gsi1pk", "gsi1sk")]
    index = {"name": "gsi1", "hashKey": "gsi1pk", "rangeKey": "gsi1sk", "projectionType": "ALL"}
    name = make(
        "aws:dynamodb/table:Table", billingMode="PAY_PER_REQUEST", hashKey="pk", rangeKey="sk",
        attributes=names,
        globalSecondaryIndexes=[index], ttl={"enabled": True, "attributeName": "expires_at"},
        pointInTimeRecovery={"enabled": True}, serverSideEncryption={"enabled": True, "kmsKeyArn": key_arn},
        deletionProtectionEnabled=True,
    ).id  # fmt: skip
    found = make.aws.call("dynamodb", "describe_table", TableName=name)["Table"]
    assert found["SSEDescription"]["KMSMasterKeyArn"] == key_arn
    assert found["DeletionProtectionEnabled"] is True
    assert [key["AttributeName"] for key in found["GlobalSecondaryIndexes"][0]["KeySchema"]] == [
        "gsi1pk",
        "gsi1sk",
    ]
    ttl = make.aws.call("dynamodb", "describe_time_to_live", TableName=name)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")
    backups = make.aws.call("dynamodb", "describe_continuous_backups", TableName=name)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


def test_a_bucket_has_all_of_its_settings(make: Maker, key_arn: str) -> None:
    bucket = make("aws:s3/bucket:Bucket").id
    by_default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key_arn}
    rule = {"applyServerSideEncryptionByDefault": by_default, "bucketKeyEnabled": True}
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*",
                 "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    settings: dict[str, dict[str, Any]] = {
        "Versioning": {"versioningConfiguration": {"status": "Enabled"}},
        "ServerSideEncryptionConfiguration": {"rules": [rule]},
        "PublicAccessBlock": {"blockPublicAcls": True, "restrictPublicBuckets": True},
        "OwnershipControls": {"rule": {"objectOwnership": "BucketOwnerEnforced"}},
        "LifecycleConfiguration": {"rules": [{"id": "old", "status": "Enabled", "expiration": {"days": 30}}]},
        "Policy": {"policy": policy},
    }
    for kind, inputs in settings.items():
        make(f"aws:s3/bucket{kind}:Bucket{kind}", bucket=bucket, **inputs)
    aws = make.aws
    assert aws.call("s3", "get_bucket_versioning", Bucket=bucket)["Status"] == "Enabled"
    encryption = aws.call("s3", "get_bucket_encryption", Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key_arn
    block = aws.call("s3", "get_public_access_block", Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert (block["BlockPublicAcls"], block["IgnorePublicAcls"]) == (True, False)
    rules = aws.call("s3", "get_bucket_lifecycle_configuration", Bucket=bucket)["Rules"]
    assert rules[0]["Expiration"]["Days"] == 30
    # Refusing plain HTTP must not refuse everything here, where AWS's own endpoint would speak TLS.
    aws.call("s3", "put_object", Bucket=bucket, Key="k", Body=b"v")


def test_a_balancer_has_its_attributes_and_forwards(make: Maker, vpc_id: str, subnet_ids: list[str]) -> None:
    balancer = make("aws:lb/loadBalancer:LoadBalancer", subnets=subnet_ids, idleTimeout=310)
    check = {"path": "/healthz", "matcher": "200", "interval": 10, "timeout": 5, "healthyThreshold": 2}
    group = make(
        "aws:lb/targetGroup:TargetGroup", port=8080, protocol="HTTP", targetType="ip", vpcId=vpc_id,
        deregistrationDelay=300, loadBalancingAlgorithmType="least_outstanding_requests",
        healthCheck=check,
    )  # fmt: skip
    forward = {"type": "forward", "targetGroupArn": group.id}
    listener = make(
        "aws:lb/listener:Listener", loadBalancerArn=balancer.id, port=80, defaultActions=[forward]
    )
    by_path = {"pathPattern": {"values": ["/v1/*"]}}
    by_header = {"httpHeader": {"httpHeaderName": "h", "values": ["v"]}}
    make(
        "aws:lb/listenerRule:ListenerRule", listenerArn=listener.id, priority=5, actions=[forward],
        conditions=[by_path, by_header],
    )  # fmt: skip
    attributes = make.aws.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=balancer.id)
    assert {"Key": "idle_timeout.timeout_seconds", "Value": "310"} in attributes["Attributes"]
    delay = make.aws.call("elbv2", "describe_target_group_attributes", TargetGroupArn=group.id)["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "300"} in delay
    rules = make.aws.call("elbv2", "describe_rules", ListenerArn=listener.id)["Rules"]
    assert [condition["Field"] for condition in rules[0]["Conditions"]] == ["path-pattern", "http-header"]
    assert balancer.outputs["arnSuffix"].startswith("app/")
    assert group.outputs["arnSuffix"].startswith("targetgroup/")


def test_a_certificate_tells_the_record_that_validates_it(make: Maker) -> None:
    made = make("aws:acm/certificate:Certificate", domainName="g.example.org", validationMethod="DNS")
    (option,) = made.outputs["domainValidationOptions"]
    assert option["resourceRecordType"] == "CNAME"
    zone = make.aws.call(
        "route53", "create_hosted_zone", Name=f"{make.unique}.org", CallerReference=make.unique
    )
    found = invoke_handler("aws:route53/getZone:getZone")(
        InvokeRequest(make.aws, {"name": f"{make.unique}.org"})
    )
    assert zone["HostedZone"]["Id"].endswith(found["zoneId"])
    record = make(
        "aws:route53/record:Record", zoneId=found["zoneId"], name=f"x.{make.unique}.org", type="CNAME",
        ttl=60,
        records=["y"],
    )  # fmt: skip
    assert record.outputs["fqdn"] == f"x.{make.unique}.org"
    assert make("aws:acm/certificateValidation:CertificateValidation", certificateArn=made.id).id == made.id


def test_a_zone_that_the_account_lacks_is_an_error_that_says_so(make: Maker) -> None:
    with pytest.raises(Exception, match=r"no hosted zone nowhere\.example"):
        invoke_handler("aws:route53/getZone:getZone")(InvokeRequest(make.aws, {"name": "nowhere.example"}))


def test_an_image_is_in_the_registry_and_its_digest_follows_the_code(make: Maker, tmp_path: Path) -> None:
    repository = make("aws:ecr/repository:Repository", imageTagMutability="IMMUTABLE")
    (tmp_path / "Dockerfile").write_text("FROM scratch")

    def build() -> str:
        export = {"image": {"names": [repository.outputs["repositoryUrl"]], "push": True}}
        made = make(
            "docker-build:index:Image",
            dockerfile={"location": str(tmp_path / "Dockerfile")},
            exports=[export],
        )
        return str(made.outputs["digest"])

    first = build()
    (tmp_path / "app.py").write_text("print()")
    second = build()
    assert first != second
    images = make.aws.call("ecr", "list_images", repositoryName=repository.id)["imageIds"]
    assert {image["imageDigest"] for image in images} == {first, second}


def test_tags_are_the_providers_and_the_resources_own(aws: LocalAws, unique: str) -> None:
    class Args:
        custom, resource_id = True, None

        def __init__(self, typ: str, name: str, inputs: dict[str, Any], provider: str | None = None) -> None:
            self.typ, self.name, self.inputs, self.provider = typ, name, inputs, provider

    told: list[CreatedResource] = []
    mocks = LocalAwsMocks(aws, told.append)
    defaults = {"defaultTags": json.dumps({"tags": {"owner": "a", "stack": "s"}})}
    provider_id, _ = mocks.new_resource(Args("pulumi:providers:aws", "p", defaults))  # type: ignore[arg-type]
    inputs = {"name": unique, "tags": {"stack": "mine"}}
    reference = f"urn:pulumi:x::{provider_id}"
    args = Args("aws:secretsmanager/secret:Secret", unique, inputs, reference)
    _, outputs = mocks.new_resource(args)  # type: ignore[arg-type]
    assert outputs["tagsAll"] == {"owner": "a", "stack": "mine"}
    assert [created.name for created in told] == [unique]


def test_numbers_and_secrets_of_the_wire_become_plain_values() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "s"}
    assert plain({"a": 1.0, "b": [1.5, secret]}) == {"a": 1, "b": [1.5, "s"]}
    assert default_tags_of({"defaultTags": {"tags": {"a": "b"}}}) == {"a": "b"}
