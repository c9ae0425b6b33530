"""IAM: moto lets every caller do everything, or else evaluates no conditions and few resources.

Here calls made as a role are checked against the role's policies, with resources, conditions, the customer
keys behind secrets, tables, queues and objects, what a secret's own policy denies, and the role's boundary.
Every other access key is taken for the account's root, as stock moto does, so that a person can look at local
AWS with any key. Signatures are not checked, nor are key policies.
"""

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError, JsonRESTError
from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends
from moto.sts.models import sts_backends

from local.aws.access import Call, needed, needed_key, tables_of
from local.aws.policy import AccessRequest, Statement, is_allowed, statements_of
from local.aws.repairs.patch import patch

PARTITION = "aws"
ALWAYS_ALLOWED = {"sts:GetCallerIdentity"}
CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
SECRET_READERS = {
    "GetSecretValue": "Decrypt",
    "BatchGetSecretValue": "Decrypt",
    "PutSecretValue": "GenerateDataKey",
}
QUEUE_ACTIONS = {"ReceiveMessage": "Decrypt", "SendMessage": "GenerateDataKey"}
OBJECT_ACTIONS = {"GetObject": "Decrypt", "PutObject": "GenerateDataKey"}
S3_ACTIONS = {"HeadObject": "GetObject", "HeadBucket": "ListBucket", "ListObjects": "ListBucket"}
"""An API's name -> the action that allows it, where they differ."""


class AccessDeniedByPolicyError(JsonRESTError):
    """The answer of the services that speak JSON."""

    code = 400


def repair() -> None:
    def authorize(self: Any, resource: str = "*") -> None:
        _authorize(self, resource)

    def authorize_s3(self: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
        path = f"{bucket_name}/{key_name}" if key_name else bucket_name
        _authorize(self, f"arn:{PARTITION}:s3:::{path}" if path else "*")

    patch(
        ActionAuthenticatorMixin,
        _authenticate_and_authorize_normal_action=authorize,
        _authenticate_and_authorize_s3_action=authorize_s3,
    )


def _authorize(response: Any, resource: str) -> None:
    credential = CREDENTIAL.search(response.headers.get("Authorization", ""))
    if credential is None:
        return
    access_key, region, service = credential.groups()
    role = sts_backends[response.current_account][PARTITION].get_assumed_role_from_access_key(access_key)
    if role is None:
        return
    call = Call(
        service,
        _operation(response),
        region,
        response.current_account,
        _parameters(response),
        resource,
        role.role_arn,
    )
    call = Call(**{**vars(call), "resource": _resource(call)})
    statements = _statements(response.current_account, role.role_arn)
    if service == "secretsmanager":
        statements += _refusals_of_secret(call)
    boundary = _boundary(response.current_account, role.role_arn)
    for request in [*needed(call), *_keys(call)]:
        if request.action in ALWAYS_ALLOWED:
            continue
        if not all(is_allowed(limits, request) for limits in (statements, boundary) if limits is not None):
            _deny(response, role.arn, request)


def _statements(account: str, role_arn: str) -> list[Statement]:
    backend = iam_backends[account][PARTITION]
    name = role_arn.split("/")[-1]
    documents = [backend.get_role_policy(name, policy)[1] for policy in backend.list_role_policies(name)]
    attached: Any = backend.list_attached_role_policies(name)[0]
    documents += [_document(policy) for policy in attached]
    return [
        statement
        for document in documents
        for statement in statements_of(json.loads(unquote(document) if document[0] == "%" else document))
    ]


def _boundary(account: str, role_arn: str) -> list[Statement] | None:
    """The statements of the role's boundary, which it must stay within; None where it has none."""
    backend = iam_backends[account][PARTITION]
    arn = backend.get_role(role_arn.split("/")[-1]).permissions_boundary_arn
    return statements_of(json.loads(_document(backend.get_policy(arn)))) if arn else None


def _document(policy: Any) -> str:
    """What a managed policy says in the version that is in force."""
    return next(str(version.document) for version in policy.versions if version.is_default)


def _operation(response: Any) -> str:
    name = str(response._get_action())
    return S3_ACTIONS.get(name, name)


def _parameters(response: Any) -> dict[str, Any]:
    """The parameters of a JSON call; other protocols carry what matters in the resource."""
    body = response.body
    if isinstance(body, dict):
        return body
    try:
        parsed = json.loads(body or "{}")
    except (TypeError, ValueError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _resource(call: Call) -> str | None:
    if call.service == "secretsmanager" and (asked := call.parameters.get("SecretId")):
        secret = _secret(call, asked)
        unknown = f"arn:aws:secretsmanager:{call.region}:{call.account}:secret:{asked}-??????"
        return str(secret.arn) if secret else (asked if asked.startswith("arn:") else unknown)
    if call.service == "kms":
        return _key_arn(call, call.parameters.get("KeyId") or _key_in(call.parameters.get("CiphertextBlob")))
    return call.resource


def _keys(call: Call) -> list[AccessRequest]:
    """The customer keys that stand behind what the call touches."""
    if call.service == "secretsmanager" and call.operation in SECRET_READERS:
        secret = _secret(call, call.parameters.get("SecretId", ""))
        keys = {secret.kms_key_id: SECRET_READERS[call.operation]} if secret else {}
    elif call.service == "dynamodb":
        tables = dynamodb_backends[call.account][call.region].tables
        found = (getattr(tables.get(name), "sse_specification", None) or {} for name in tables_of(call))
        keys = {sse.get("KMSMasterKeyId"): "Decrypt" for sse in found if sse.get("Enabled")}
    elif call.service == "sqs" and call.operation in QUEUE_ACTIONS:
        queue = sqs_backends[call.account][call.region].queues.get(
            call.parameters["QueueUrl"].rpartition("/")[2]
        )
        keys = {getattr(queue, "kms_master_key_id", None): QUEUE_ACTIONS[call.operation]}
    elif call.service == "s3" and call.operation in OBJECT_ACTIONS:
        keys = {_bucket_key(call): OBJECT_ACTIONS[call.operation]}
    else:
        return []
    return [needed_key(call, operation, _key_arn(call, key)) for key, operation in keys.items() if key]


def _refusals_of_secret(call: Call) -> list[Statement]:
    """What the secret's own policy denies to everybody that it does not spare."""
    secret = _secret(call, call.parameters.get("SecretId", ""))
    policy = json.loads((secret and secret.policy) or "{}")
    return [s for s in statements_of(policy) if s["Effect"] == "Deny" and s.get("Principal") == "*"]


def _secret(call: Call, asked: str) -> Any:
    return secretsmanager_backends[call.account][call.region].secrets.get(asked)


def _bucket_key(call: Call) -> str | None:
    name = (call.resource or "").split(":::")[-1].split("/")[0]
    bucket = s3_backends[call.account][PARTITION].buckets.get(name)
    rule = ((bucket.encryption or {}) if bucket else {}).get("Rule", {})
    default = rule[0] if isinstance(rule, list) else rule
    key: str | None = default.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
    return key


def _key_in(ciphertext: str | None) -> str | None:
    """moto writes a key's id in front of what it encrypts."""
    return base64.b64decode(ciphertext)[:36].decode("ascii", "ignore") if ciphertext else None


def _key_arn(call: Call, key: str | None) -> str:
    if not key:
        return "*"
    backend = kms_backends[call.account][call.region]
    found = backend.keys.get(backend.get_key_id(backend.any_id_to_key_id(key)))
    return str(found.arn) if found else "*"


def _deny(response: Any, caller_arn: str, request: AccessRequest) -> None:
    message = (
        f"User: {caller_arn} is not authorized to perform: {request.action} on resource: {request.resource} "
        "because no identity-based policy allows the action"
    )
    if request.context.get("kms:ViaService", "").startswith("s3.") or request.action.startswith("s3:"):
        raise S3AccessDeniedError()
    if "X-Amz-Target" in response.headers:
        raise AccessDeniedByPolicyError("AccessDeniedException", message)
    raise AccessDeniedError(user_arn=caller_arn, action=request.action)
