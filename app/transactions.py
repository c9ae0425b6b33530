"""TransactWriteItems without botocore's parameter checks and serializer.

A transaction of the ledger has a hundred items whose JSON is known; botocore takes milliseconds of the event
loop to check and to spell it, a third of all processor time under load. Signature, connections, credentials
and errors are botocore's. Source: DynamoDB API reference, TransactWriteItems, low-level API.
"""

import uuid
from typing import Any

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError

TARGET = "DynamoDB_20120810.TransactWriteItems"
ATTEMPTS = 2

_BUSY = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)


class TransactionWriter:
    """In place of a client's method. session, client: aiobotocore's, of DynamoDB."""

    def __init__(self, session: Any, client: Any) -> None:
        self._session = session
        self._client = client

    async def __call__(self, **request: Any) -> dict[str, Any]:
        """Raises what the client's own method raises. Values are texts, numbers as texts, and booleans."""
        # With the token a second attempt writes nothing a second time.
        body = orjson.dumps({"ClientRequestToken": str(uuid.uuid4()), **request})
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status, answer = await self._send(body)
            except HTTPClientError:
                if attempt == ATTEMPTS:
                    raise
                continue
            code = str(answer.get("__type", status)).rpartition("#")[2]
            if status == 200:
                break
            if attempt == ATTEMPTS or (status < 500 and code not in _BUSY):
                told: Any = {**answer, "Error": {"Code": code, "Message": ""}}
                raise ClientError(told, "TransactWriteItems")
        return answer

    async def _send(self, body: bytes) -> tuple[int, dict[str, Any]]:
        credentials = await self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        meta = self._client.meta
        request = AWSRequest(
            "POST",
            meta.endpoint_url,
            headers={"X-Amz-Target": TARGET, "Content-Type": "application/x-amz-json-1.0"},
            data=body,
        )
        SigV4Auth(await credentials.get_frozen_credentials(), "dynamodb", meta.region_name).add_auth(request)
        # The client's own connections: their time bounds, their trust store, their exceptions.
        response = await self._client._endpoint.http_session.send(request.prepare())
        content = await response.content
        try:
            answer = orjson.loads(content)
        except orjson.JSONDecodeError:
            answer = None
        return response.status_code, answer if isinstance(answer, dict) else {}
