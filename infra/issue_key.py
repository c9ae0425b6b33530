"""An API key for a deployed stack's project: `python -m infra.issue_key --stack staging --project web`.

The key is shown once, on standard output; the stack keeps only its hash. The project is made if need be.
"""

import argparse
import re
import sys
from collections.abc import Mapping

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from app.admin.issue import DEFAULT_ORGANIZATION_ID, issue
from infra.seed import SeedError, stack_outputs


def issue_key(
    session: boto3.Session,
    outputs: Mapping[str, str],
    *,
    project: str,
    name: str,
    organization_id: str = DEFAULT_ORGANIZATION_ID,
    requests_per_minute: int | None = None,
) -> str:
    """The text of a new key. outputs: the stack's; project: in lower-case letters, digits, `-` and `_`.

    Raises ValueError for another kind of name, and botocore's errors when AWS refuses.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", project):
        raise ValueError(f"project {project!r}: use up to 63 lower-case letters, digits, - and _")
    pepper = session.client("secretsmanager").get_secret_value(SecretId=outputs["pepper_secret_arn"])
    return issue(
        session.client("dynamodb"),
        outputs["table_name"],
        pepper["SecretString"],
        organization_id=organization_id,
        project_id=f"proj_{project}",
        project_name=project,
        key_name=name,
        requests_per_minute=requests_per_minute,
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.issue_key", description=__doc__)
    parser.add_argument("--stack", required=True, help="the Pulumi stack, as in Pulumi.<stack>.yaml")
    parser.add_argument(
        "--project", required=True, help="whose key it is; made if there is none of that name"
    )
    parser.add_argument("--name", default="key", help="what the key is called")
    parser.add_argument("--requests-per-minute", type=int, help="a limit of its own")
    given = parser.parse_args(arguments)
    try:
        outputs = stack_outputs(given.stack)
        session = boto3.Session(region_name=outputs["region"])
        key = issue_key(
            session,
            outputs,
            project=given.project,
            name=given.name,
            requests_per_minute=given.requests_per_minute,
        )
    except (SeedError, ValueError, BotoCoreError, ClientError) as error:
        print(f"issue_key: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(key)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
