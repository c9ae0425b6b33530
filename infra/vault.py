"""The stack's secrets, made without values: `infra/seed.py` sets those, so none is in Pulumi's state."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.seed import SecretArns


@dataclass(frozen=True)
class VaultArgs:
    """recovery_days: how long a deleted secret can be brought back, 0 for not at all."""

    key_arn: pulumi.Input[str]
    recovery_days: int
    deletion_protection: bool


class Vault(pulumi.ComponentResource):
    """Secrets Manager secrets. Their names end in random letters, so that a stack can be made again
    while the deleted ones wait out their recovery window."""

    openai_arn: pulumi.Output[str]
    pepper_arn: pulumi.Output[str]
    owner_arn: pulumi.Output[str]
    cache_arn: pulumi.Output[str]
    secrets: list[pulumi.Resource]

    def __init__(self, name: str, args: VaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Vault", name, None, opts)
        self.secrets = []

        def secret(suffix: str, description: str) -> pulumi.Output[str]:
            made = aws.secretsmanager.Secret(
                f"{name}-{suffix}",
                description=description,
                kms_key_id=args.key_arn,
                recovery_window_in_days=args.recovery_days,
                opts=pulumi.ResourceOptions(parent=self, protect=args.deletion_protection),
            )
            self.secrets.append(made)
            return made.arn

        self.openai_arn = secret("openai", "The OpenAI API key that requests are forwarded with")
        self.pepper_arn = secret("pepper", "What keys are hashed with; changing it makes every key unknown")
        self.owner_arn = secret("owner", "The first owner's admin key")
        self.cache_arn = secret("cache", "User name and password of the gateway in the cache")
        self.register_outputs({})

    @property
    def arns(self) -> pulumi.Output[SecretArns]:
        """All four, for whoever seeds them."""
        return pulumi.Output.all(
            openai=self.openai_arn, pepper=self.pepper_arn, owner=self.owner_arn, cache=self.cache_arn
        ).apply(lambda arns: SecretArns(**arns))
