"""A stack that was destroyed comes up again while its secrets wait out their recovery window."""

import shutil
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from infra.config import ROOT
from local.aws.client import LocalAws
from local.provider.registry import RemovalRequest, remove
from tests.local import program

SECRETS = ("openai", "pepper", "owner", "cache")

# The part of the stack whose names outlive it.
PROGRAM = """
import pulumi
import pulumi_aws as aws

from infra.config import load
from infra.vault import Vault, VaultArgs

config = load()
on_aws = pulumi.ResourceOptions(providers=[aws.Provider("aws", region=config.region)])
key = aws.kms.Key("encryption", opts=pulumi.ResourceOptions(provider=on_aws.providers[0]))
vault = Vault("vault", VaultArgs(key.arn, config.secret_recovery_days, config.deletion_protection), on_aws)
for name in ("openai", "pepper", "owner", "cache"):
    pulumi.export(name, getattr(vault, f"{name}_arn"))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ROOT.glob("Pulumi*.yaml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "__main__.py").write_text(PROGRAM)
    return tmp_path


def deploy(aws: LocalAws, folder: Path) -> dict[str, str]:
    """Secret -> ARN."""
    return dict(program.run(aws, "prod", {"deletion_protection": "false"}, folder))


def destroy(aws: LocalAws, arns: dict[str, str]) -> None:
    for arn in arns.values():
        inputs = {"recoveryWindowInDays": 30}
        remove("aws:secretsmanager/secret:Secret", RemovalRequest(aws, arn, inputs))


def name_of(aws: LocalAws, arn: str) -> str:
    return str(aws.call("secretsmanager", "describe_secret", SecretId=arn)["Name"])


def test_what_waits_for_its_end_is_not_in_the_way_of_a_new_stack(aws: LocalAws, folder: Path) -> None:
    first = deploy(aws, folder)
    assert set(first) == set(SECRETS)
    aws.call("secretsmanager", "put_secret_value", SecretId=first["pepper"], SecretString="the-first-pepper")
    names = {secret: name_of(aws, arn) for secret, arn in first.items()}
    destroy(aws, first)
    with pytest.raises(ClientError):
        aws.call("secretsmanager", "create_secret", Name=names["pepper"])

    second = deploy(aws, folder)

    assert set(second.values()).isdisjoint(first.values())
    assert {name_of(aws, arn) for arn in second.values()}.isdisjoint(names.values())
    for arn in second.values():
        assert "DeletedDate" not in aws.call("secretsmanager", "describe_secret", SecretId=arn)
        with pytest.raises(ClientError, match="ResourceNotFound"):
            aws.call("secretsmanager", "get_secret_value", SecretId=arn)

    aws.call("secretsmanager", "restore_secret", SecretId=first["pepper"])
    kept = aws.call("secretsmanager", "get_secret_value", SecretId=first["pepper"])
    assert kept["SecretString"] == "the-first-pepper"


def test_without_a_window_a_secret_is_gone_at_once(aws: LocalAws, unique: str) -> None:
    arn = aws.call("secretsmanager", "create_secret", Name=unique)["ARN"]
    remove("aws:secretsmanager/secret:Secret", RemovalRequest(aws, arn, {"recoveryWindowInDays": 0}))
    assert aws.call("secretsmanager", "create_secret", Name=unique)["Name"] == unique
