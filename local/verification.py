"""Asks local ECS what the service runs, as a resource hook does under the engine (`infra/verify.py`)."""

from typing import Any

from infra.verify import DeploymentError, Expected, verify
from local.aws.client import LocalAws
from local.components import StartError

LONGEST_S = 10.0
"""The tasks are healthy when this is asked, so only what is wrong takes any time."""


def verify_deployment(aws: LocalAws, outputs: dict[str, Any], longest_s: float = LONGEST_S) -> str:
    """What ECS says of the deployment. Raises StartError when that is not what `outputs` tell."""
    expected = Expected(
        cluster=outputs["cluster_name"],
        service=outputs["service_name"],
        task_definition_arn=outputs["task_definition_arn"],
        log_group=outputs["log_group_name"],
    )
    try:
        return verify(aws.client("ecs"), expected, longest_s)
    except DeploymentError as error:
        raise StartError(str(error)) from error
