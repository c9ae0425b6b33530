"""Who may open a connection to whom: the internet to the balancer, the balancer to tasks, tasks to the cache.

The groups and all of their rules stand together because a rule names two of them; each rule is a resource
of its own, so the groups depend on nothing and can neither form a cycle nor block each other's removal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
import pulumi_aws as aws

EVERYWHERE = "0.0.0.0/0"
AWS_PORT = 443


@dataclass(frozen=True)
class SecurityGroupsArgs:
    """public_ports: what the balancer listens on. upstream_ports: where OpenAI and AWS answer.
    interface_endpoints: whether AWS answers within the network too."""

    vpc_id: pulumi.Input[str]
    public_ports: Sequence[int]
    task_port: int
    cache_port: int
    upstream_ports: Sequence[int]
    interface_endpoints: bool


class SecurityGroups(pulumi.ComponentResource):
    """One security group each for the balancer, the tasks, the cache and, where there are any, endpoints."""

    balancer_id: pulumi.Output[str]
    tasks_id: pulumi.Output[str]
    cache_id: pulumi.Output[str]
    endpoints_id: pulumi.Output[str] | None

    def __init__(
        self, name: str, args: SecurityGroupsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gateway:infra:SecurityGroups", name, None, opts)
        self._vpc_id = args.vpc_id
        self._child = pulumi.ResourceOptions(parent=self)
        self.balancer_id = self._group("balancer", "Load balancer: open to the internet")
        self.tasks_id = self._group("tasks", "Gateway tasks: reached from the load balancer only")
        self.cache_id = self._group("cache", "Cache: reached from gateway tasks only")

        for port in args.public_ports:
            aws.vpc.SecurityGroupIngressRule(
                f"internet-to-balancer-{port}",
                description="Clients",
                security_group_id=self.balancer_id,
                cidr_ipv4=EVERYWHERE,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                opts=self._child,
            )
        self._between("balancer-to-tasks", self.balancer_id, self.tasks_id, args.task_port)
        self._between("tasks-to-cache", self.tasks_id, self.cache_id, args.cache_port)
        self.endpoints_id = None
        if args.interface_endpoints:
            self.endpoints_id = self._group(
                "endpoints", "AWS within the network: reached from gateway tasks only"
            )
            self._between("tasks-to-endpoints", self.tasks_id, self.endpoints_id, AWS_PORT)
        for port in args.upstream_ports:
            aws.vpc.SecurityGroupEgressRule(
                f"tasks-to-internet-{port}",
                description="OpenAI and AWS",
                security_group_id=self.tasks_id,
                cidr_ipv4=EVERYWHERE,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                opts=self._child,
            )
        self.register_outputs({})

    def _group(self, name: str, description: str) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            name, description=description, vpc_id=self._vpc_id, tags={"Name": name}, opts=self._child
        )
        return group.id

    def _between(self, name: str, source: pulumi.Output[str], target: pulumi.Output[str], port: int) -> None:
        aws.vpc.SecurityGroupEgressRule(
            name,
            description=name.replace("-", " "),
            security_group_id=source,
            referenced_security_group_id=target,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            name,
            description=name.replace("-", " "),
            security_group_id=target,
            referenced_security_group_id=source,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            opts=self._child,
        )


def upstream_ports(openai_base_url: str) -> list[int]:
    """Where tasks may connect to: AWS and OpenAI on 443, and another upstream's own port.

    Only an upstream on the same machine may be plain HTTP (the config refuses others); it needs no way out.
    """
    upstream = urlsplit(openai_base_url)
    port = upstream.port if upstream.scheme == "https" else None
    return sorted({AWS_PORT, port or AWS_PORT})
