"""The gateway as its users find it: its address, whether it is ready, and the first keys to it."""

import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.admin.issue import DEFAULT_ORGANIZATION_ID, issue
from local.aws.client import LocalAws
from local.balancer.balancer import LoadBalancer

TIMEOUT_S = 5
PROJECT_ID = "proj_first"
PROJECT_NAME = "First project"


class NoListenerError(Exception):
    """The program deploys no load balancer to reach the gateway by."""


@dataclass(frozen=True)
class Gateway:
    """base_url ends in /v1; ca_file: what a client must trust, None for plain HTTP."""

    base_url: str
    ca_file: str | None

    @classmethod
    def of(cls, balancer: LoadBalancer, authority: Path) -> "Gateway":
        """By HTTPS where a listener serves it. Raises NoListenerError."""
        if balancer.deployed is None or not balancer.deployed.listeners:
            raise NoListenerError("the program deploys no load balancer with a listener")
        listener = max(balancer.deployed.listeners, key=lambda item: item.protocol == "HTTPS")
        scheme = listener.protocol.lower()
        url = f"{scheme}://127.0.0.1:{balancer.ports[listener.port]}/v1"
        return cls(url, str(authority) if scheme == "https" else None)

    def readiness(self) -> str:
        """`ready`, or what the gateway or the way to it says instead."""
        address = self.base_url.removesuffix("/v1") + "/readyz"
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with direct.open(address, timeout=TIMEOUT_S):
                return "ready"
        except urllib.error.HTTPError as error:
            told = error.read(2000).decode(errors="replace")
            return f"GET /readyz through the load balancer: {error.code} {told}"
        except OSError as error:
            return f"GET /readyz through the load balancer: {error}"


def first_keys(aws: LocalAws, outputs: dict[str, Any]) -> tuple[str, str]:
    """The owner's key, and a new API key of a first project that is made if need be."""

    def secret(name: str) -> str:
        arn = outputs[f"{name}_secret_arn"]
        return str(aws.call("secretsmanager", "get_secret_value", SecretId=arn)["SecretString"])

    api_key = issue(
        aws.client("dynamodb"),
        outputs["table_name"],
        secret("pepper"),
        organization_id=DEFAULT_ORGANIZATION_ID,
        project_id=PROJECT_ID,
        project_name=PROJECT_NAME,
        key_name="first key",
    )
    return secret("owner"), api_key
