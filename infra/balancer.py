"""The load balancer: the one part of the stack that the internet reaches."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

HTTP_PORT = 80
HTTPS_PORT = 443
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
"""TLS 1.3 and 1.2 with forward secrecy only (ELB user guide, "Security policies")."""

HEALTH_CHECK_PATH = "/healthz"


@dataclass(frozen=True)
class Https:
    """What TLS needs: the name clients use, the zone it lives in, and its validated certificate."""

    domain_name: str
    zone_id: pulumi.Input[str]
    certificate_arn: pulumi.Input[str]


@dataclass(frozen=True)
class BalancerArgs:
    """https: None serves plain HTTP. idle_timeout_s, deregistration_delay_s: from the streaming budget.
    log_policies: what lets the balancer write to the log bucket."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    https: Https | None
    target_port: int
    idle_timeout_s: int
    deregistration_delay_s: int
    deletion_protection: bool
    log_bucket: pulumi.Input[str]
    log_prefix: str
    log_policies: Sequence[pulumi.Resource]


class Balancer(pulumi.ComponentResource):
    """An application load balancer, its target group, and its listeners."""

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    base_url: pulumi.Output[str]
    arn_suffix: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]
    target_group_arn_suffix: pulumi.Output[str]
    certificate_arn: pulumi.Input[str] | None
    log_bucket_arn: pulumi.Output[str]
    listeners: list[aws.lb.Listener]

    def __init__(self, name: str, args: BalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Balancer", name, None, opts)
        self._prefix = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._balancer = aws.lb.LoadBalancer(
            name,
            load_balancer_type="application",
            internal=False,
            ip_address_type="ipv4",
            subnets=list(args.subnet_ids),
            security_groups=[args.security_group_id],
            idle_timeout=args.idle_timeout_s,
            drop_invalid_header_fields=True,
            enable_deletion_protection=args.deletion_protection,
            access_logs={"bucket": args.log_bucket, "prefix": args.log_prefix, "enabled": True},
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.deletion_protection, depends_on=args.log_policies
            ),
        )
        targets = self._target_group(args)
        host: pulumi.Input[str]
        if args.https is None:
            host = self._balancer.dns_name
            self.listeners = [self._forward("http", HTTP_PORT, targets)]
        else:
            host = args.https.domain_name
            self.listeners = [self._https(targets, args.https), self._redirect()]
            self._alias(args.https)

        self.arn = self._balancer.arn
        self.dns_name = self._balancer.dns_name
        self.base_url = pulumi.Output.concat("http" if args.https is None else "https", "://", host, "/v1")
        self.arn_suffix = self._balancer.arn_suffix
        self.certificate_arn = None if args.https is None else args.https.certificate_arn
        self.log_bucket_arn = pulumi.Output.concat("arn:aws:s3:::", args.log_bucket)
        self.target_group_arn = targets.arn
        self.target_group_arn_suffix = targets.arn_suffix
        self.register_outputs({"base_url": self.base_url})

    def _target_group(self, args: BalancerArgs) -> aws.lb.TargetGroup:
        return aws.lb.TargetGroup(
            "tasks",
            vpc_id=args.vpc_id,
            target_type="ip",
            protocol="HTTP",
            port=args.target_port,
            deregistration_delay=args.deregistration_delay_s,
            # Answers take from milliseconds to minutes: turns would pile long streams onto one task.
            load_balancing_algorithm_type="least_outstanding_requests",
            health_check={
                "path": HEALTH_CHECK_PATH,
                "protocol": "HTTP",
                "port": "traffic-port",
                "matcher": "200",
                "interval": 10,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            opts=self._child,
        )

    def _forward(self, suffix: str, port: int, targets: aws.lb.TargetGroup) -> aws.lb.Listener:
        return aws.lb.Listener(
            f"{self._prefix}-{suffix}",
            load_balancer_arn=self._balancer.arn,
            port=port,
            protocol="HTTP",
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=self._child,
        )

    def _https(self, targets: aws.lb.TargetGroup, https: Https) -> aws.lb.Listener:
        return aws.lb.Listener(
            f"{self._prefix}-https",
            load_balancer_arn=self._balancer.arn,
            port=HTTPS_PORT,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=https.certificate_arn,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            opts=self._child,
        )

    def _redirect(self) -> aws.lb.Listener:
        return aws.lb.Listener(
            f"{self._prefix}-http",
            load_balancer_arn=self._balancer.arn,
            port=HTTP_PORT,
            protocol="HTTP",
            default_actions=[
                {
                    "type": "redirect",
                    "redirect": {"protocol": "HTTPS", "port": str(HTTPS_PORT), "status_code": "HTTP_301"},
                }
            ],
            opts=self._child,
        )

    def _alias(self, https: Https) -> None:
        aws.route53.Record(
            f"{self._prefix}-alias",
            zone_id=https.zone_id,
            name=https.domain_name,
            type="A",
            aliases=[
                {
                    "name": self._balancer.dns_name,
                    "zone_id": self._balancer.zone_id,
                    "evaluate_target_health": True,
                }
            ],
            opts=self._child,
        )
