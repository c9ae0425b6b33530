"""Route 53 records, and the zone that must already be there."""

from typing import Any

from local.provider.registry import Created, InvokeRequest, ResourceRequest, function, resource


class NoSuchZoneError(Exception):
    """The account has no hosted zone of that name."""


@resource("aws:route53/record:Record")
def record(request: ResourceRequest) -> Created:
    name, kind = request["name"], request["type"]
    record_set: dict[str, Any] = {"Name": name, "Type": kind}
    if aliases := request.get("aliases"):
        target = aliases[0]
        record_set["AliasTarget"] = {
            "HostedZoneId": target["zoneId"],
            "DNSName": target["name"],
            "EvaluateTargetHealth": target["evaluateTargetHealth"],
        }
    else:
        record_set |= {
            "TTL": request.get("ttl", 300),
            "ResourceRecords": [{"Value": v} for v in request["records"]],
        }
    action = "UPSERT" if request.get("allowOverwrite") else "CREATE"
    request.call(
        "route53", "change_resource_record_sets",
        HostedZoneId=request["zoneId"],
        ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record_set}]},
    )  # fmt: skip
    return Created(f"{request['zoneId']}_{name}_{kind}", {"fqdn": str(name).rstrip(".")})


@function("aws:route53/getZone:getZone")
def zone(request: InvokeRequest) -> dict[str, Any]:
    asked = str(request.inputs["name"]).rstrip(".")
    zones = request.aws.call("route53", "list_hosted_zones")["HostedZones"]
    found = next((zone for zone in zones if zone["Name"].rstrip(".") == asked), None)
    if found is None:
        raise NoSuchZoneError(f"the account has no hosted zone {asked}; create it before the stack")
    zone_id = found["Id"].rpartition("/")[2]
    return {
        "id": zone_id,
        "zoneId": zone_id,
        "name": asked,
        "arn": f"arn:aws:route53:::hostedzone/{zone_id}",
        "privateZone": False,
    }
