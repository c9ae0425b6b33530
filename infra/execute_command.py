"""ECS Exec: commands and shells inside running tasks, when the config asks for them, every session logged.

AWS's developer guide ("Monitor Amazon ECS containers with ECS Exec") does not support a read-only root file
system with it, because the session agent that ECS starts inside the container writes files. People who run
both on Fargate mount the three paths it writes to (aws/containers-roadmap issue 1359, amazon-ecs-exec-checker
issue 71). So does this: the root stays read-only, and if AWS moves a path, it is the sessions that fail.
"""

from typing import Any

import pulumi
import pulumi_aws as aws

from infra.iam import Statement, allow

AGENT_PATHS = {
    "session-agent": "/managed-agents",
    "session-state": "/var/lib/amazon/ssm",
    "session-logs": "/var/log/amazon/ssm",
}
"""Volume -> where the agent writes. Empty at a task's start and gone with it."""

CHANNEL_ACTIONS = (
    *("ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel"),
    *("ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
)
ENDPOINT = "ssmmessages"
"""The service that the agent calls, for networks that reach AWS by interface endpoints."""


def warn_in_production() -> None:
    """Said at every `up`, since breaking the glass is easily forgotten."""
    pulumi.log.warn(
        "enable_execute_command is true: whoever may call ecs:ExecuteCommand gets a shell with the gateway's "
        "rights, prompts and keys included. When you are done: pulumi config set enable_execute_command false"
    )


def volumes() -> list[aws.ecs.TaskDefinitionVolumeArgs]:
    """The task's volumes for the agent."""
    return [aws.ecs.TaskDefinitionVolumeArgs(name=name) for name in AGENT_PATHS]


def mount_points() -> list[dict[str, Any]]:
    """The same as the container definition mounts them."""
    return [
        {"sourceVolume": name, "containerPath": path, "readOnly": False} for name, path in AGENT_PATHS.items()
    ]


def cluster_configuration(
    key_arn: pulumi.Input[str], log_group: aws.cloudwatch.LogGroup
) -> aws.ecs.ClusterConfigurationArgs:
    """Sessions travel encrypted with the stack's key, and what is typed and printed in them is kept."""
    return aws.ecs.ClusterConfigurationArgs(
        execute_command_configuration=aws.ecs.ClusterConfigurationExecuteCommandConfigurationArgs(
            kms_key_id=key_arn,
            logging="OVERRIDE",
            log_configuration=aws.ecs.ClusterConfigurationExecuteCommandConfigurationLogConfigurationArgs(
                # The agent then refuses a session whose log would not be encrypted.
                cloud_watch_encryption_enabled=True,
                cloud_watch_log_group_name=log_group.name,
            ),
        )
    )


def agent_statements(log_group_arn: pulumi.Input[str]) -> list[Statement]:
    """What the task role needs beside the stack's key: the agent acts as the task."""
    every_group = pulumi.Output.from_input(log_group_arn).apply(lambda arn: arn.rpartition(":")[0] + ":*")
    return [
        allow("OpenSessions", CHANNEL_ACTIONS, ["*"]),
        allow(
            "LogSessions",
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [pulumi.Output.concat(log_group_arn, ":*")],
        ),
        # It looks for the group in a list, to see whether that is encrypted.
        allow("FindSessionLog", ["logs:DescribeLogGroups"], [every_group]),
    ]
