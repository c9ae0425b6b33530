"""The first owner's admin key: `python -m infra.owner_key show|rotate|reopen --stack staging`.

`show` prints it, once. `rotate` makes another that is let in instead, at once, and prints that. Both end when
an owner has taken over; `reopen` lets a new one in even then, for an organization that nobody can get into.
"""

import argparse
import sys
from collections.abc import Mapping

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from app.admin.bootstrap import Admission, first_showing
from app.admin.issue import DEFAULT_ORGANIZATION_ID
from app.keys import ADMIN_KEY_PREFIX, random_key
from infra.seed import SeedError, admit_owner, stack_outputs

TAKEN_OVER = (
    "an owner has taken over, so the bootstrap key lets nobody in any more. Ask an owner for a key; if there "
    "is none who can, run: python -m infra.owner_key reopen --stack <stack>"
)

DELETED = (
    "the key was deleted, so it lets nobody in any more. To make another that takes its place, run: "
    "python -m infra.owner_key rotate --stack <stack>"
)

SHOWN = (
    "the key has been printed before, and is printed once. If it is lost, or it was not you who printed it, "
    "make another that takes its place: python -m infra.owner_key rotate --stack <stack>"
)


def owner_key(session: boto3.Session, outputs: Mapping[str, str], what: str) -> str:
    """The key that lets the first owner in, to be used. what: show, rotate or reopen; outputs: the stack's.

    Raises SeedError when it lets nobody in, and botocore's errors when AWS refuses.
    """
    vault, arn = session.client("secretsmanager"), outputs["owner_secret_arn"]

    def admission() -> Admission:
        return admit_owner(
            session,
            pepper_arn=outputs["pepper_secret_arn"],
            owner_arn=arn,
            table_name=outputs["table_name"],
            reopen=what == "reopen",
        )

    known = admission() if what != "reopen" else None
    if known == "deleted" and what == "show":
        raise SeedError(DELETED)
    if what != "show" and known != "taken over":
        # The secret first: a run that is cut here is mended by the next, of `infra.seed` too.
        new = random_key(ADMIN_KEY_PREFIX)
        vault.put_secret_value(SecretId=arn, SecretString=new)
        known = admission()
    if known == "taken over":
        raise SeedError(TAKEN_OVER)
    return vault.get_secret_value(SecretId=arn)["SecretString"]


def printed_key(session: boto3.Session, outputs: Mapping[str, str], what: str) -> str:
    """The same, to be printed. Raises SeedError also when the key has been printed before."""
    key = owner_key(session, outputs, what)
    if not first_showing(session.client("dynamodb"), outputs["table_name"], DEFAULT_ORGANIZATION_ID):
        raise SeedError(SHOWN)
    return key


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.owner_key", description=__doc__)
    parser.add_argument("what", choices=("show", "rotate", "reopen"))
    parser.add_argument("--stack", required=True, help="the Pulumi stack, as in Pulumi.<stack>.yaml")
    given = parser.parse_args(arguments)
    try:
        outputs = stack_outputs(given.stack)
        key = printed_key(boto3.Session(region_name=outputs["region"]), outputs, given.what)
    except (SeedError, BotoCoreError, ClientError) as error:
        print(f"owner_key: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(key)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
