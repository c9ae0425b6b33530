"""What AWS would answer: ids and outputs in its form, invented, so that a program runs without an account."""

from collections.abc import Mapping
from typing import Any

from pulumi.runtime import MockCallArgs, MockResourceArgs, mocks, rpc

ACCOUNT = "123456789012"
ZONES = {"us-west-1": 2}
"""How many zones an account has, where they are fewer than six."""


class Answers(mocks.Mocks):
    """Ids and outputs in the form AWS gives them, so that references can be followed and addresses read."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.invokes: list[tuple[str, Any, str]] = []
        self._deployed = ""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = plain(args.inputs)
        if not args.custom:
            return "", inputs
        service, _, kind = args.typ.split(":")[1].partition("/")
        arn = f"arn:aws:{service}:{self.region}:{ACCOUNT}:{kind}/{args.name}"
        outputs = {"arn": arn, "name": f"{args.name}-1234567", **inputs, **self._special(args, inputs)}
        return f"{kind or args.typ}-{args.name}", outputs

    def _special(self, args: MockResourceArgs, inputs: Mapping[str, Any]) -> dict[str, Any]:
        match args.typ.rpartition(":")[2]:
            case "Key":
                return {"keyId": f"key-{args.name}"}
            case "Secret":
                return {
                    "arn": f"arn:aws:secretsmanager:{self.region}:{ACCOUNT}:secret:{args.name}-1234567-AbCdEf"
                }
            case "TaskDefinition":
                family = f"arn:aws:ecs:{self.region}:{ACCOUNT}:task-definition/{inputs['family']}"
                self._deployed = f"{family}:1"
                return {"arn": self._deployed, "arnWithoutRevision": family, "revision": 1}
            case "Topic":
                return {"arn": f"arn:aws:sns:{self.region}:{ACCOUNT}:{args.name}-1234567"}
            case "Queue":
                return {"url": f"https://sqs.{self.region}.amazonaws.com/{ACCOUNT}/{args.name}-1234567"}
            case "LogGroup":
                return {"arn": f"arn:aws:logs:{self.region}:{ACCOUNT}:log-group:{inputs['name']}"}
            case "OpenIdConnectProvider":
                host = inputs["url"].removeprefix("https://")
                return {"arn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"}
            case "Role":
                path = inputs.get("path", "/")
                return {"arn": f"arn:aws:iam::{ACCOUNT}:role{path}{args.name}-1234567"}
            case "Bucket":
                return {"bucket": f"{args.name}-1234567", "arn": f"arn:aws:s3:::{args.name}-1234567"}
            case "Repository":
                host = f"{ACCOUNT}.dkr.ecr.{self.region}.amazonaws.com"
                return {"repositoryUrl": f"{host}/{args.name}-1234567", "registryId": ACCOUNT}
            case "Image":
                return {"digest": "sha256:" + "b" * 64, "ref": ""}
            case "LoadBalancer":
                dns = f"{args.name}-1234567.{self.region}.elb.amazonaws.com"
                return {
                    "dnsName": dns,
                    "zoneId": "ZBALANCER",
                    "arnSuffix": f"app/{args.name}/50dc6c495c0c9188",
                }
            case "TargetGroup":
                return {"arnSuffix": f"targetgroup/{args.name}/73e2d6bc24d8a067"}
            case "ReplicationGroup":
                host = f"master.{inputs['replicationGroupId']}.abc123.use1.cache.amazonaws.com"
                return {"primaryEndpointAddress": host}
            case "Certificate":
                proof = {"resourceRecordName": "_x.proof", "resourceRecordType": "CNAME"}
                return {"domainValidationOptions": [{**proof, "resourceRecordValue": "_y.acm"}]}
            case "Record":
                return {"fqdn": inputs["name"]}
        return {}

    def call(self, args: MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        self.invokes.append((args.token, plain(args.args), args.provider))
        match args.token.rpartition(":")[2]:
            case "getAvailabilityZones":
                letters = "abcdef"[: ZONES.get(self.region, 6)]
                return {"names": [f"{self.region}{letter}" for letter in reversed(letters)]}
            case "getCallerIdentity":
                return {"accountId": ACCOUNT}
            case "getSubnet":
                # As if the last digit of a subnet's id counted the zones.
                subnet = args.args["id"]
                zone = self.region + "abc"[int(subnet[-1], 16) % 3]
                return {"id": subnet, "vpcId": "vpc-0123456789abcdef0", "availabilityZone": zone}
            case "getService":
                return {"taskDefinition": self._deployed}
            case "getZone":
                return {"zoneId": "ZDOMAIN"}
            case "getAuthorizationToken":
                return {"userName": "AWS", "password": "a-registry-password"}
        raise LookupError(f"offline/answers.py has no answer to {args.token}; add one there")


def plain(value: Any) -> Any:
    """A property without the wire's wrapping of secrets, and with whole numbers as integers."""
    if rpc.is_rpc_secret(value):
        return plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
