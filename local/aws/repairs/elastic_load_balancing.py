"""Elastic Load Balancing: moto keeps one target per address and calls every target healthy at once.

Here all tasks share 127.0.0.1, so targets are kept by address and port; their health is what the local load
balancer's checks found.
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

from local.aws import exchange
from local.aws.repairs.patch import patch


def repair() -> None:
    def register(self: Any, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            port = int(target.get("Port", self.port))
            self.targets[f"{target['Id']}:{port}"] = {"Id": target["Id"], "Port": port}

    def deregister(self: Any, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            self.targets.pop(f"{target['Id']}:{int(target.get('Port', self.port))}", None)

    def describe_target_health(self: Any) -> Any:
        arn = self._get_param("TargetGroupArn")
        group = self.elbv2_backend.target_groups.get(arn)
        if group is None:
            raise TargetGroupNotFoundError()
        seen = {(t["id"], t["port"]): t for t in exchange.observed()["targets"].get(arn, [])}
        asked = [(t["Id"], int(t.get("Port", group.port))) for t in self._get_param("Targets", [])]
        registered = [(t["Id"], t["Port"]) for t in group.targets.values()]
        leaving = [key for key, target in seen.items() if target["state"] == "draining"]
        told = asked or list(dict.fromkeys(registered + leaving))
        return ActionResult(
            {
                "TargetHealthDescriptions": [
                    _description(key, seen.get(key), key in registered) for key in told
                ]
            }
        )

    patch(FakeTargetGroup, register=register, deregister=deregister)
    patch(ELBV2Response, describe_target_health=describe_target_health)


def _description(key: tuple[str, int], seen: dict[str, Any] | None, registered: bool) -> dict[str, Any]:
    if seen is not None and (registered or seen["state"] == "draining"):
        health = {
            "State": seen["state"],
            "Reason": seen.get("reason"),
            "Description": seen.get("description"),
        }
    elif registered:
        health = {"State": "initial", "Reason": "Elb.RegistrationInProgress"}
    else:
        health = {"State": "unused", "Reason": "Target.NotRegistered"}
    told = {name: value for name, value in health.items() if value}
    return {"Target": {"Id": key[0], "Port": key[1]}, "HealthCheckPort": str(key[1]), "TargetHealth": told}
