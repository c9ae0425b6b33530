"""A network that somebody else made: its subnets are looked up and checked, and nothing of it is changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class ExistingNetworkArgs:
    """Ids, one subnet a zone in each tier. isolated: its owner sees to it that no way leads out of them."""

    vpc_id: str
    public_subnet_ids: Sequence[str]
    private_subnet_ids: Sequence[str]
    isolated_subnet_ids: Sequence[str]


@dataclass(frozen=True)
class FoundSubnet:
    """A subnet as AWS describes it."""

    id: str
    vpc_id: str
    zone: str


class NetworkError(Exception):
    """Subnets that do not fit; the text names each and the key to set."""


class ExistingNetwork(pulumi.ComponentResource):
    """What `Network` offers, of a VPC that is there already."""

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    isolated_subnet_ids: list[pulumi.Output[str]]
    nat_gateway_ids: list[pulumi.Output[str]]

    def __init__(
        self, name: str, args: ExistingNetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gateway:infra:ExistingNetwork", name, None, opts)
        self._args = args
        self.vpc_id = pulumi.Output.from_input(args.vpc_id)
        self.public_subnet_ids = self._tier("public_subnet_ids", args.public_subnet_ids)
        self.private_subnet_ids = self._tier("private_subnet_ids", args.private_subnet_ids)
        self.isolated_subnet_ids = self._tier("isolated_subnet_ids", args.isolated_subnet_ids)
        self.nat_gateway_ids = []
        self.register_outputs({"vpc_id": self.vpc_id})

    def _tier(self, key: str, ids: Sequence[str]) -> list[pulumi.Output[str]]:
        looked_up = [
            aws.ec2.get_subnet_output(id=subnet, opts=pulumi.InvokeOptions(parent=self)) for subnet in ids
        ]
        checked = pulumi.Output.all(
            *(
                pulumi.Output.all(found.id, found.vpc_id, found.availability_zone).apply(
                    lambda facts: FoundSubnet(*facts)
                )
                for found in looked_up
            )
        ).apply(lambda found: check_tier(key, self._args.vpc_id, found))

        def nth(index: int) -> pulumi.Output[str]:
            return checked.apply(lambda subnets: subnets[index].id)

        return [nth(index) for index in range(len(ids))]


def check_tier(key: str, vpc_id: str, found: Sequence[FoundSubnet]) -> Sequence[FoundSubnet]:
    """The subnets of a tier, when they lie in the VPC and in zones of their own. Raises NetworkError."""
    problems = [
        f"{key}: {subnet.id} lies in {subnet.vpc_id}, not in {vpc_id}"
        for subnet in found
        if subnet.vpc_id != vpc_id
    ]
    by_zone: dict[str, list[str]] = {}
    for subnet in found:
        by_zone.setdefault(subnet.zone, []).append(subnet.id)
    problems += [
        f"{key}: {' and '.join(ids)} lie in the same zone {zone}; name one subnet a zone"
        for zone, ids in by_zone.items()
        if len(ids) > 1
    ]
    if problems:
        raise NetworkError("\n".join([*problems, f"mend it: pulumi config set {key} subnet-…,subnet-…"]))
    return found
