"""A network that somebody else made: its subnets are looked up and checked, and nothing of it is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

BALANCER_ADDRESSES = 8
"""Free addresses that a load balancer wants in each of its subnets (ELB user guide, "Subnets for your load
balancer")."""


@dataclass(frozen=True)
class ExistingNetworkArgs:
    """Ids, one subnet a zone in each tier. isolated: its owner sees to it that no way leads out of them."""

    region: str
    vpc_id: str
    public_subnet_ids: Sequence[str]
    private_subnet_ids: Sequence[str]
    isolated_subnet_ids: Sequence[str]

    @property
    def tiers(self) -> Mapping[str, Sequence[str]]:
        """Config key -> the subnets it names."""
        return {
            "public_subnet_ids": self.public_subnet_ids,
            "private_subnet_ids": self.private_subnet_ids,
            "isolated_subnet_ids": self.isolated_subnet_ids,
        }


@dataclass(frozen=True)
class FoundSubnet:
    """A subnet as AWS describes it. free_addresses: that nothing has taken yet."""

    id: str
    vpc_id: str
    zone: str
    free_addresses: int


class NetworkError(pulumi.RunError):
    """Subnets that do not fit; the text names each, and the keys to set."""


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
        checked = self._found(args).apply(lambda found: check(args, found))

        def tier(ids: Sequence[str]) -> list[pulumi.Output[str]]:
            # Nothing is made in a subnet before all of them are known to fit.
            return [pulumi.Output.all(checked, subnet).apply(lambda known: str(known[1])) for subnet in ids]

        self.vpc_id = checked.apply(lambda _: args.vpc_id)
        self.public_subnet_ids = tier(args.public_subnet_ids)
        self.private_subnet_ids = tier(args.private_subnet_ids)
        self.isolated_subnet_ids = tier(args.isolated_subnet_ids)
        self.nat_gateway_ids = []
        self.register_outputs({"vpc_id": self.vpc_id})

    def _found(self, args: ExistingNetworkArgs) -> pulumi.Output[list[FoundSubnet]]:
        """Those of the named subnets that there are: looking one up that is missing would end the program."""
        asking = pulumi.InvokeOptions(parent=self)
        named = sorted({subnet for ids in args.tiers.values() for subnet in ids})
        known = aws.ec2.get_subnets_output(filters=[{"name": "subnet-id", "values": named}], opts=asking)

        def facts(subnet: aws.ec2.GetSubnetResult) -> FoundSubnet:
            return FoundSubnet(
                subnet.id, subnet.vpc_id, subnet.availability_zone, subnet.available_ip_address_count
            )

        def look_up(ids: Sequence[str]) -> pulumi.Output[list[FoundSubnet]]:
            return pulumi.Output.all(
                *(aws.ec2.get_subnet_output(id=subnet, opts=asking).apply(facts) for subnet in sorted(ids))
            )

        return known.ids.apply(look_up)


def check(args: ExistingNetworkArgs, found: Sequence[FoundSubnet]) -> None:
    """Raises NetworkError with every subnet that does not fit its tier, and every zone that lacks one."""
    by_id = {subnet.id: subnet for subnet in found}
    problems = {
        key: [*_alone(key, args, by_id), *_together([by_id[i] for i in ids if i in by_id])]
        for key, ids in args.tiers.items()
    }
    problems["public_subnet_ids"] += _unreached(args, by_id)
    told = [f"  {key}: {reason}" for key, reasons in problems.items() for reason in reasons]
    if told:
        mend = [
            f"mend it: pulumi config set {key} {','.join(f'subnet-{n}…' for n in range(1, len(ids) + 1))}"
            for key, ids in args.tiers.items()
            if problems[key]
        ]
        raise NetworkError("\n".join([f"the subnets do not fit network {args.vpc_id}:", *told, *mend]))


def _alone(key: str, args: ExistingNetworkArgs, by_id: Mapping[str, FoundSubnet]) -> list[str]:
    """What is wrong with a tier's subnets one by one."""
    reasons = []
    for name in args.tiers[key]:
        shared = [other for other, ids in args.tiers.items() if other != key and name in ids]
        subnet = by_id.get(name)
        if subnet is None:
            reasons.append(f"{name} is no subnet that this account sees in {args.region}")
            continue
        if subnet.vpc_id != args.vpc_id:
            reasons.append(f"{name} lies in {subnet.vpc_id}, not in {args.vpc_id}")
        if shared:
            reasons.append(f"{name} is named by {' and '.join(shared)} too; each tier has subnets of its own")
        if key == "public_subnet_ids" and subnet.free_addresses < BALANCER_ADDRESSES:
            free = subnet.free_addresses
            reasons.append(f"{name} has {free} free addresses; a load balancer wants {BALANCER_ADDRESSES}")
    return reasons


def _together(tier: Sequence[FoundSubnet]) -> list[str]:
    by_zone: dict[str, list[str]] = {}
    for subnet in tier:
        by_zone.setdefault(subnet.zone, []).append(subnet.id)
    return [
        f"{' and '.join(ids)} lie in the same zone {zone}; name one subnet a zone"
        for zone, ids in by_zone.items()
        if len(ids) > 1
    ]


def _unreached(args: ExistingNetworkArgs, by_id: Mapping[str, FoundSubnet]) -> list[str]:
    """Zones of tasks without a public subnet; a load balancer sends nothing to a zone it is not in."""

    def zones(ids: Sequence[str]) -> set[str]:
        return {by_id[subnet].zone for subnet in ids if subnet in by_id}

    return [
        f"none lies in zone {zone}, so the load balancer would not reach the tasks there"
        for zone in sorted(zones(args.private_subnet_ids) - zones(args.public_subnet_ids))
    ]
