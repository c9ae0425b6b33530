"""Gives the stack's secrets their values: random ones where none exists yet, and the OpenAI key.

`python -m infra.seed --stack staging` may be run at any time: what has a value keeps it, only the OpenAI key
is replaced. The same functions run by themselves after the first `pulumi up` has made the secrets.
"""

import argparse
import getpass
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from app.admin.bootstrap import Admission, admit
from app.admin.issue import DEFAULT_ORGANIZATION_ID
from app.keys import ADMIN_KEY_PREFIX, KEY_PREFIX, random_key

if TYPE_CHECKING:
    from mypy_boto3_elasticache import ElastiCacheClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

CACHE_USER_NAME = "gateway"
OWN_KEYS = (KEY_PREFIX, ADMIN_KEY_PREFIX)

# Secrets Manager takes one content per request token, ever: of two that seed at once the second is refused
# (PutSecretValue, ClientRequestToken, "ResourceExistsException").
FIRST_VALUE_TOKEN = "first-value-of-this-secret-000000"  # noqa: S105

USER_READY_S = 300

OWNERS_KEY: dict[Admission, str] = {
    "let in": "lets the first owner in",
    "taken over": "an owner has taken over",
    "deleted": "was deleted; to make another, run: python -m infra.owner_key rotate --stack <stack>",
}


@dataclass(frozen=True)
class SecretArns:
    """ARNs of the stack's secrets."""

    openai: str
    pepper: str
    owner: str
    cache: str


class SeedError(Exception):
    """Secrets that could not be seeded: what is wrong and what to do."""


def seed_generated(session: boto3.Session, arns: SecretArns, cache_user_id: str) -> list[str]:
    """Give pepper, owner and cache a random value where there is none; return the names of those seeded.

    The cache's secret is written before its user is changed, and the user is set to what the secret holds
    every time: a run that was cut between the two is mended by the next, and no password is ever lost.
    Raises SeedError, or botocore's ClientError when AWS refuses.
    """
    vault = session.client("secretsmanager")
    generators: list[tuple[str, str, Callable[[], str]]] = [
        ("pepper", arns.pepper, lambda: secrets.token_urlsafe(32)),
        ("owner", arns.owner, lambda: random_key(ADMIN_KEY_PREFIX)),
        ("cache", arns.cache, _cache_credentials),
    ]
    seeded = [name for name, arn, generate in generators if _fill(vault, arn, generate)]
    password: str = json.loads(vault.get_secret_value(SecretId=arns.cache)["SecretString"])["password"]
    cache = session.client("elasticache")
    wait_until_active(cache, cache_user_id)
    cache.modify_user(UserId=cache_user_id, Passwords=[password])
    # What comes next, a user group, takes only users that are active.
    wait_until_active(cache, cache_user_id)
    return seeded


def admit_owner(
    session: boto3.Session, *, pepper_arn: str, owner_arn: str, table_name: str, reopen: bool = False
) -> Admission:
    """Lets the key in the owner's secret in, and no former one, unless an owner has taken over or deleted it.

    Raises botocore's ClientError when AWS refuses.
    """
    vault = session.client("secretsmanager")
    pepper, key = (vault.get_secret_value(SecretId=arn)["SecretString"] for arn in (pepper_arn, owner_arn))
    table = session.client("dynamodb")
    return admit(table, table_name, pepper, key, DEFAULT_ORGANIZATION_ID, reopen=reopen)


def seed_openai(session: boto3.Session, arn: str, key: str) -> None:
    """Set the OpenAI key, or the JSON list of deployments that stands in its place (`app/secret_values.py`).

    The gateway takes up a new one without a restart. Raises SeedError for what is neither, and for a key of
    the gateway's own, which a program that calls it has in the same variable.
    """
    value = _deployments(key) if key.startswith("[") else key
    if not value or any(character.isspace() for character in value):
        raise SeedError("the OpenAI key is empty or holds white space; copy it again from OpenAI's settings")
    if any(own in value for own in OWN_KEYS):
        raise SeedError(
            "this is a key of the gateway, not OpenAI's; set OPENAI_API_KEY to the one from OpenAI's settings"
        )
    session.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)


def _deployments(text: str) -> str:
    try:
        deployments = json.loads(text)
    except ValueError:
        deployments = None
    if not deployments or not all(isinstance(one, dict) and one.get("key") for one in deployments):
        raise SeedError('the list of deployments is not JSON like [{"key": "sk-…", "weight": 1}, …]')
    return json.dumps(deployments, separators=(",", ":"))


def has_value(session: boto3.Session, arn: str) -> bool:
    """Whether a secret was ever given a value."""
    return _has_value(session.client("secretsmanager"), arn)


def main(arguments: list[str] | None = None) -> int:
    """The command line. The OpenAI key comes from OPENAI_API_KEY or a hidden prompt, never an argument."""
    parser = argparse.ArgumentParser(prog="python -m infra.seed", description=__doc__)
    parser.add_argument("--stack", required=True, help="the Pulumi stack, as in Pulumi.<stack>.yaml")
    stack: str = parser.parse_args(arguments).stack
    try:
        _seed_stack(stack)
    except (SeedError, BotoCoreError, ClientError) as error:
        print(f"seed: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _seed_stack(stack: str) -> None:
    outputs = stack_outputs(stack)
    arns = SecretArns(
        **{name: outputs[f"{name}_secret_arn"] for name in ("openai", "pepper", "owner", "cache")}
    )
    session = boto3.Session(region_name=outputs["region"])
    seeded = seed_generated(session, arns, outputs["cache_user_id"])
    _say(f"generated: {', '.join(seeded) if seeded else 'nothing, every secret has its value'}")
    admitted = admit_owner(
        session, pepper_arn=arns.pepper, owner_arn=arns.owner, table_name=outputs["table_name"]
    )
    _say(f"owner's key: {OWNERS_KEY[admitted]}")
    present = has_value(session, arns.openai)
    key = ask_openai_key(present)
    if key or not present:
        seed_openai(session, arns.openai, key)
        _say("openai: set")
    else:
        _say("openai: kept as it is")


def stack_outputs(stack: str) -> dict[str, str]:
    """What the deployed stack tells about itself. Raises SeedError when it is not there."""
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SeedError("the pulumi command is not on the PATH; install the Pulumi CLI") from None
    if run.returncode != 0:
        raise SeedError(f"pulumi knows no outputs of stack {stack}: {run.stderr.strip()}")
    outputs: dict[str, str] = json.loads(run.stdout)
    if "cache_user_id" not in outputs:
        raise SeedError(f"stack {stack} is not deployed; run: pulumi up --stack {stack}")
    return outputs


def ask_openai_key(present: bool) -> str:
    """The key from OPENAI_API_KEY or a hidden prompt; empty to keep the `present` one. Raises SeedError."""
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if key or (present and not sys.stdin.isatty()):
        return key
    if not sys.stdin.isatty():
        raise SeedError("the stack has no OpenAI key yet; set OPENAI_API_KEY, or run this in a terminal")
    prompt = "OpenAI key (empty keeps the present one): " if present else "OpenAI key: "
    return getpass.getpass(prompt).strip()


def _cache_credentials() -> str:
    """64 characters of password; ElastiCache takes 16 to 128."""
    return json.dumps({"username": CACHE_USER_NAME, "password": secrets.token_urlsafe(48)})


def _fill(vault: "SecretsManagerClient", arn: str, generate: Callable[[], str]) -> bool:
    """Give a secret its first value; False when it already had one."""
    if _has_value(vault, arn):
        return False
    try:
        vault.put_secret_value(SecretId=arn, SecretString=generate(), ClientRequestToken=FIRST_VALUE_TOKEN)
    except vault.exceptions.ResourceExistsException:
        return False
    return True


def _has_value(vault: "SecretsManagerClient", arn: str) -> bool:
    stages = vault.describe_secret(SecretId=arn).get("VersionIdsToStages", {})
    return any("AWSCURRENT" in names for names in stages.values())


def wait_until_active(cache: "ElastiCacheClient", user_id: str) -> None:
    """Wait until the cache's user takes another change. Raises SeedError when it never does."""
    deadline = time.monotonic() + USER_READY_S
    pause_s = 0.5
    while (status := cache.describe_users(UserId=user_id)["Users"][0]["Status"]) != "active":
        if time.monotonic() > deadline:
            raise SeedError(
                f"the cache's user {user_id} is still {status} after {USER_READY_S} s; look at it in the "
                "ElastiCache console, then run: python -m infra.seed --stack <stack>"
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 8)


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
