"""The service's own name: its zone in Route 53 and a certificate that the zone proves."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.balancer import Https
from infra.config import StackConfig


@dataclass(frozen=True)
class DomainArgs:
    domain_name: str
    hosted_zone_name: str


class Domain(pulumi.ComponentResource):
    """An ACM certificate, validated by a DNS record; ACM renews it as long as that record stands."""

    zone_id: pulumi.Output[str]
    certificate_arn: pulumi.Output[str]

    def __init__(self, name: str, args: DomainArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Domain", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        zone = aws.route53.get_zone_output(
            name=args.hosted_zone_name, private_zone=False, opts=pulumi.InvokeOptions(parent=self)
        )
        self.zone_id = zone.zone_id
        certificate = aws.acm.Certificate(
            name, domain_name=args.domain_name, validation_method="DNS", opts=child
        )
        proof = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{name}-validation",
            zone_id=self.zone_id,
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            records=[proof.resource_record_value],
            ttl=300,
            # The same account and name always get the same record, so a stack made again finds it there.
            allow_overwrite=True,
            opts=child,
        )
        validated = aws.acm.CertificateValidation(
            name, certificate_arn=certificate.arn, validation_record_fqdns=[record.fqdn], opts=child
        )
        self.certificate_arn = validated.certificate_arn
        self.register_outputs({"certificate_arn": self.certificate_arn})


def https(config: StackConfig, on_aws: pulumi.ResourceOptions) -> Https | None:
    """The service's certificate; without a domain there is none, and the stack says so."""
    if config.domain_name is None or config.hosted_zone_name is None:
        pulumi.log.warn(
            "the load balancer speaks plain HTTP: prompts, answers and keys cross the internet in clear. "
            "Give the stack a name: pulumi config set domain_name … and pulumi config set hosted_zone_name …"
        )
        return None
    domain = Domain("domain", DomainArgs(config.domain_name, config.hosted_zone_name), on_aws)
    return Https(config.domain_name, domain.zone_id, domain.certificate_arn)
