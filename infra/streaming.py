"""One number, the longest stream, decides every timeout on a request's way.

A chain of timeouts is only right as a whole: a balancer that gives up before the answer is complete, a
task that is stopped while it streams, or a server that closes a connection the balancer is about to use
again each show as random 502s. So one setting is chosen and the rest follow from it.
"""

from dataclasses import dataclass

LONGEST_STREAM_S = range(30, 3600 + 1)
"""3,600 s is the longest deregistration delay a target group takes (ELBv2 API, target group attributes)."""

LONGEST_STOP_TIMEOUT_S = 120
"""Fargate kills a container at the latest 120 s after SIGTERM (ECS API, ContainerDefinition.stopTimeout)."""

PING_INTERVAL_S = 15
MARGIN_S = 10


@dataclass(frozen=True)
class StreamingBudget:
    """The timeouts of one stack, in seconds.

    idle_timeout_s: the balancer's; an answer that is not streamed sends nothing until it is complete.
    keep_alive_s: the app's; above the balancer's, so that only the balancer ends an idle connection.
    deregistration_delay_s: a leaving task keeps its streams this long before ECS sends SIGTERM.
    stop_timeout_s: from SIGTERM to SIGKILL, for what still runs (a Spot interruption skips the delay).
    ping_interval_s: an SSE comment after this much silence.
    """

    idle_timeout_s: int
    keep_alive_s: int
    deregistration_delay_s: int
    stop_timeout_s: int
    ping_interval_s: int


def streaming_budget(longest_stream_s: int) -> StreamingBudget:
    """The timeouts that let a stream of `longest_stream_s` finish."""
    idle_timeout_s = longest_stream_s + MARGIN_S
    return StreamingBudget(
        idle_timeout_s=idle_timeout_s,
        keep_alive_s=idle_timeout_s + MARGIN_S,
        deregistration_delay_s=longest_stream_s,
        stop_timeout_s=min(longest_stream_s + MARGIN_S, LONGEST_STOP_TIMEOUT_S),
        ping_interval_s=PING_INTERVAL_S,
    )
