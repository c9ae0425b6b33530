"""IAM policy documents: statements in, canonical JSON out."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

Statement = Mapping[str, Any]
Condition = Mapping[str, Mapping[str, pulumi.Input[Any]]]


def document(*statements: Statement) -> pulumi.Output[str]:
    """A policy of `statements`; the same statements always give the same text."""
    return pulumi.Output.json_dumps(
        {"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True, separators=(",", ":")
    )


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    condition: Condition | None = None,
) -> Statement:
    """A statement of an identity's policy. sid: letters and digits, says what the statement is for."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": list(resources)}
    return statement if condition is None else {**statement, "Condition": condition}


def trust(service: str, account_id: pulumi.Input[str]) -> pulumi.Output[str]:
    """Who may take a role: the AWS `service`, on behalf of this account and no other.

    The condition keeps another account from having the service use the role for it (the IAM user guide's
    "confused deputy problem").
    """
    return document(
        {
            "Sid": "TakenByService",
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        }
    )
