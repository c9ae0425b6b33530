"""Application Auto Scaling: moto drops the tags of a scalable target and cannot list them."""

import json
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse as Response

from local.aws.repairs.patch import patch

_tags: dict[str, dict[str, str]] = {}


def repair() -> None:
    register = Response.register_scalable_target

    def register_scalable_target(self: Any) -> str:
        answer: str = register(self)
        _of(json.loads(answer)["ScalableTargetARN"]).update(self._get_param("Tags") or {})
        return answer

    def tag_resource(self: Any) -> str:
        _of(self._get_param("ResourceARN")).update(self._get_param("Tags"))
        return "{}"

    def untag_resource(self: Any) -> str:
        for key in self._get_param("TagKeys"):
            _of(self._get_param("ResourceARN")).pop(key, None)
        return "{}"

    def list_tags_for_resource(self: Any) -> str:
        return json.dumps({"Tags": _of(self._get_param("ResourceARN"))})

    patch(
        Response,
        register_scalable_target=register_scalable_target,
        tag_resource=tag_resource,
        untag_resource=untag_resource,
        list_tags_for_resource=list_tags_for_resource,
    )


def _of(arn: str) -> dict[str, str]:
    return _tags.setdefault(arn, {})
