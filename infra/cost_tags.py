"""Makes the stacks' tags cost allocation tags, by which the bill and the budgets are split.

`python -m infra.cost_tags` once per payer account, a day after the first `up`: AWS knows a tag for billing
only when something that carries it was billed. What is active stays as it is.
"""

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

TAGS = ("project", "stack", "environment", "owner", "cost-center", "repository")

# Cost Explorer answers in one region for the whole account.
BILLING_REGION = "us-east-1"


@dataclass(frozen=True)
class Outcome:
    """Tag keys by what became of them; unknown: AWS has not billed anything that carries it yet."""

    active: tuple[str, ...]
    activated: tuple[str, ...]
    unknown: tuple[str, ...]


class RefusedError(Exception):
    """Tags that AWS would not activate, with its reason for each."""


def activate(session: boto3.Session) -> Outcome:
    """Activate what AWS knows and has not active. Raises RefusedError, or botocore's errors."""
    billing = session.client("ce", region_name=BILLING_REGION)
    status = _status(billing)
    inactive = tuple(tag for tag in TAGS if status.get(tag) == "Inactive")
    if inactive:
        answer = billing.update_cost_allocation_tags_status(
            CostAllocationTagsStatus=[{"TagKey": tag, "Status": "Active"} for tag in inactive]
        )
        if errors := answer.get("Errors"):
            raise RefusedError("; ".join(f"{error['TagKey']}: {error['Message']}" for error in errors))
    return Outcome(
        tuple(tag for tag in TAGS if status.get(tag) == "Active"),
        inactive,
        tuple(tag for tag in TAGS if tag not in status),
    )


def _status(billing: Any) -> dict[str, str]:
    """Tag key -> Active or Inactive, of those that AWS knows."""
    found: dict[str, str] = {}
    page: dict[str, str] = {}
    while True:
        answer = billing.list_cost_allocation_tags(TagKeys=list(TAGS), Type="UserDefined", **page)
        found |= {tag["TagKey"]: tag["Status"] for tag in answer["CostAllocationTags"]}
        if not answer.get("NextToken"):
            return found
        page = {"NextToken": answer["NextToken"]}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    argparse.ArgumentParser(prog="python -m infra.cost_tags", description=__doc__).parse_args(arguments)
    try:
        outcome = activate(boto3.Session())
    except (RefusedError, BotoCoreError, ClientError) as error:
        print(f"cost_tags: {error}", file=sys.stderr)  # noqa: T201
        return 1
    for what, tags in (("active already", outcome.active), ("activated", outcome.activated)):
        _say(f"{what}: {', '.join(tags) or 'none'}")
    if outcome.unknown:
        _say(f"not known to billing yet, run this again tomorrow: {', '.join(outcome.unknown)}")
    return 0


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
