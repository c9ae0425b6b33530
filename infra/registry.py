"""The stack's own image registry."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

KEPT_IMAGES = 100


@dataclass(frozen=True)
class RegistryArgs:
    key_arn: pulumi.Input[str]
    deletion_protection: bool


class Registry(pulumi.ComponentResource):
    """An ECR repository: immutable tags, scan on push, the newest images kept."""

    repository_arn: pulumi.Output[str]
    repository_url: pulumi.Output[str]
    registry_id: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Registry", name, None, opts)
        repository = aws.ecr.Repository(
            name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.key_arn}],
            force_delete=not args.deletion_protection,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion_protection),
        )
        aws.ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=lifecycle(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.repository_arn = repository.arn
        self.repository_url = repository.repository_url
        self.registry_id = repository.registry_id
        self.register_outputs({"repository_url": self.repository_url})


def lifecycle() -> str:
    """By count and never by "untagged": images run by digest, so the one in service may have no tag."""
    rule = {
        "rulePriority": 1,
        "description": f"Keep the newest {KEPT_IMAGES} images",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]}, sort_keys=True, separators=(",", ":"))
