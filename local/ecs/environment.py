"""What a task's process is given: the container's environment, and what this machine must add.

The additions, all of them:
- GATEWAY_HOST and GATEWAY_PORT are replaced: tasks share one address here, so each has a port of its own.
- AWS_CONTAINER_CREDENTIALS_FULL_URI, AWS_REGION, AWS_DEFAULT_REGION: ECS gives these too.
- AWS_ENDPOINT_URL sends the SDKs to local AWS.
- SSL_CERT_FILE holds the public authorities and the local one, which signed the cache's certificate.
- PATH, LANG and PYTHONUNBUFFERED, which an image sets.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import ClientError

from local.aws.client import LocalAws
from local.ecs.deployed import TaskDefinition

HOST_VARIABLE = "GATEWAY_HOST"
PORT_VARIABLE = "GATEWAY_PORT"


class SecretUnavailableError(Exception):
    """ECS could not give the container one of its secrets, so the task does not start."""


def task_environment(
    definition: TaskDefinition,
    secrets: Mapping[str, str],
    port: int,
    aws: LocalAws,
    credentials_address: str,
    trust_store: Path,
) -> dict[str, str]:
    """The whole environment of a task's process; nothing is inherited."""
    return {
        **definition.environment,
        **secrets,
        HOST_VARIABLE: "127.0.0.1",
        PORT_VARIABLE: str(port),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials_address,
        "AWS_REGION": aws.region,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "SSL_CERT_FILE": str(trust_store),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }


def on_this_machine(command: tuple[str, ...]) -> list[str]:
    """A container's command with this interpreter in the place of the image's."""
    return [sys.executable if part in ("python", "python3") else part for part in command[:1]] + list(
        command[1:]
    )


def resolve_secrets(definition: TaskDefinition, as_execution_role: LocalAws) -> dict[str, str]:
    """The values of the container's secrets, read as the execution role. Raises SecretUnavailableError."""
    resolved = {}
    for name, reference in definition.secrets.items():
        try:
            resolved[name] = _resolve(reference, as_execution_role)
        except ClientError as error:
            raise SecretUnavailableError(f"secret {name} from {reference}: {error}") from error
    return resolved


def _resolve(reference: str, aws: LocalAws) -> str:
    """Of a parameter's name or ARN, or a secret's ARN, which `:key:stage:version` may follow."""
    if ":secretsmanager:" not in reference:
        parameter = aws.call("ssm", "get_parameter", Name=reference, WithDecryption=True)["Parameter"]
        return str(parameter["Value"])
    parts = reference.split(":")
    arn, (key, stage, version) = ":".join(parts[:7]), (*parts[7:], "", "", "")[:3]
    which = {k: v for k, v in (("VersionStage", stage), ("VersionId", version)) if v}
    value = str(aws.call("secretsmanager", "get_secret_value", SecretId=arn, **which)["SecretString"])
    if not key:
        return value
    return _json_member(value, key, reference)


def _json_member(value: str, key: str, reference: str) -> str:
    try:
        return str(json.loads(value)[key])
    except (ValueError, KeyError) as error:
        raise SecretUnavailableError(
            f"{reference}: the secret is no JSON object with the key {key}"
        ) from error
