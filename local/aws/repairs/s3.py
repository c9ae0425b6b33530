"""S3: moto evaluates a bucket policy without its conditions, so that refusing plain HTTP refuses everything.

Local AWS speaks plain HTTP on the loopback interface only; to policies that counts as a secure transport.
"""

import json
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from local.aws.policy import AccessRequest, effects_of, statements_of
from local.aws.repairs.patch import patch

CONTEXT = {"aws:SecureTransport": "true", "aws:SourceIp": "127.0.0.1"}


def repair() -> None:
    def get_permission(self: Any, action: str, resource: str) -> PermissionResult:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        statements = statements_of(json.loads(self.policy))
        effects = effects_of(statements, AccessRequest(action, resource, CONTEXT))
        if "Deny" in effects:
            return PermissionResult.DENIED
        return PermissionResult.PERMITTED if "Allow" in effects else PermissionResult.NEUTRAL

    patch(FakeBucket, get_permission=get_permission)
