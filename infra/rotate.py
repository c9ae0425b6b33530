"""Rotates the stack's secrets while it serves: the cache's password, and the OpenAI key.

`python -m infra.rotate cache --stack staging` gives the cache user a second password beside the first, writes
it into the secret, waits until every task has read it, and then drops the first. ElastiCache takes two at a
time for this; nobody is refused at any moment. A run that was cut short is mended by the next.

`python -m infra.rotate openai --stack staging` sets a new OpenAI key (OPENAI_API_KEY, or a hidden prompt);
tasks take it up within a minute and keep the former one until it is refused.
"""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Callable

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.seed import (
    CACHE_USER_NAME,
    SeedError,
    ask_openai_key,
    seed_openai,
    stack_outputs,
    wait_until_active,
)

SETTLE_S = 120
"""Every task reads the secret again within 30 s (app/vault.py), and right away when it is refused."""


def add_password(session: boto3.Session, secret_arn: str, user_id: str) -> None:
    """Give the cache's user a new password beside the one in the secret, then put the new one there.

    In this order: what the secret holds is always a password that the cache takes.
    Raises SeedError, or botocore's ClientError when AWS refuses.
    """
    present = _password(session, secret_arn)
    new = secrets.token_urlsafe(48)
    _set_passwords(session, user_id, [present, new])
    session.client("secretsmanager").put_secret_value(
        SecretId=secret_arn, SecretString=json.dumps({"username": CACHE_USER_NAME, "password": new})
    )


def drop_former_password(session: boto3.Session, secret_arn: str, user_id: str) -> None:
    """Leave the cache's user the password of the secret and no other; connections that stand are kept."""
    _set_passwords(session, user_id, [_password(session, secret_arn)])


def rotate_cache(
    session: boto3.Session,
    secret_arn: str,
    user_id: str,
    settle_s: float,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Both steps, with the time in between that tasks need to read the secret."""
    add_password(session, secret_arn, user_id)
    tell(f"cache: the new password is in the secret; the former one is dropped in {settle_s:.0f} s")
    sleep(settle_s)
    drop_former_password(session, secret_arn, user_id)
    tell("cache: rotated")


def main(arguments: list[str] | None = None) -> int:
    """The command line. No secret is ever an argument or printed."""
    parser = argparse.ArgumentParser(prog="python -m infra.rotate", description=__doc__)
    parser.add_argument("what", choices=("cache", "openai"))
    parser.add_argument("--stack", required=True, help="the Pulumi stack, as in Pulumi.<stack>.yaml")
    parser.add_argument(
        "--settle-s", type=int, default=SETTLE_S, help="seconds until the former one is dropped"
    )
    given = parser.parse_args(arguments)
    try:
        outputs = stack_outputs(given.stack)
        session = boto3.Session(region_name=outputs["region"])
        if given.what == "cache":
            arn, user_id = outputs["cache_secret_arn"], outputs["cache_user_id"]
            rotate_cache(session, arn, user_id, given.settle_s, tell=_say)
        else:
            seed_openai(session, outputs["openai_secret_arn"], ask_openai_key(present=False))
            _say("openai: rotated; revoke the former key in OpenAI's settings in a minute")
    except (SeedError, BotoCoreError, ClientError) as error:
        print(f"rotate: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _password(session: boto3.Session, secret_arn: str) -> str:
    vault = session.client("secretsmanager")
    try:
        found = vault.get_secret_value(SecretId=secret_arn)["SecretString"]
    except vault.exceptions.ResourceNotFoundException:
        raise SeedError("the cache has no password yet; run: python -m infra.seed --stack <stack>") from None
    password: str = json.loads(found)["password"]
    return password


def _set_passwords(session: boto3.Session, user_id: str, passwords: list[str]) -> None:
    cache = session.client("elasticache")
    wait_until_active(cache, user_id)
    cache.modify_user(UserId=user_id, Passwords=passwords)
    wait_until_active(cache, user_id)


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
