"""New knowledge invalidates the answers that rest on it: objects in the bucket, told through a queue.

S3 tells the queue of every object that is created or removed under `knowledge/<project>/<namespace>/`, and
one replica forgets what rests on that namespace of that project. A message is deleted once that is done, so
it may be done twice, which does no harm. Off the way of requests: while the queue, the table or Valkey does
not answer, messages wait. Form of messages: the Amazon S3 user guide, "Event message structure".
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote_plus

import orjson

from app.aws import Sqs
from app.cache import ResponseCache
from app.cache.epochs import is_name, scopes
from app.table import Table
from app.telemetry import log_event

PREFIX = "knowledge/"
POLL_S = 20
"""The longest that SQS lets a call wait for a message."""

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0

Namespace = tuple[str, str]
"""A project and one of its namespaces."""


class UnreadableMessageError(Exception):
    """Not a message that S3 sends. It stays, until the queue puts it among the dead letters."""


class Knowledge:
    """Reads the queue for as long as it is open."""

    def __init__(self, sqs: Sqs, queue_url: str, table: Table, cache: ResponseCache) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._table = table
        self._cache = cache
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Starts reading."""
        self._task = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Stops reading; what was not done by now is done by another replica."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _read(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                await self._take(await self._receive())
                retry_s = FIRST_RETRY_S
            except Exception as failure:
                # Queue, table or Valkey gone; and whatever else it is, answers must not grow old in silence.
                reason = getattr(failure, "reason", type(failure).__name__)
                log_event("knowledge_waits", level="warning", reason=reason)
                # Full jitter: replicas that lost the queue together must not come back together.
                await asyncio.sleep(random.uniform(retry_s / 2, retry_s))  # noqa: S311
                retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    async def _receive(self) -> Sequence[dict[str, Any]]:
        answer = await self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=POLL_S
        )
        messages: Sequence[dict[str, Any]] = answer.get("Messages", ())
        return messages

    async def _take(self, messages: Iterable[dict[str, Any]]) -> None:
        """Raises what one of the messages failed of, once the others are done."""
        failed: Exception | None = None
        for message in messages:
            try:
                for project_id, namespace in sorted(namespaces(message["Body"])):
                    await self._invalidate(project_id, namespace)
                await self._sqs.delete_message(
                    QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
            except UnreadableMessageError:
                log_event("knowledge_unreadable", level="error", message_id=message["MessageId"])
            except Exception as failure:
                failed = failure
        if failed is not None:
            raise failed

    async def _invalidate(self, project_id: str, namespace: str) -> None:
        project = await self._table.project(project_id)
        if project is None:
            log_event("knowledge_of_nobody", level="warning", project_id=project_id[:64])
            return
        organization_id, settings = project
        await self._cache.invalidate(scopes(project_id, organization_id, settings), namespace, ())
        log_event("knowledge_changed", project_id=project_id, namespace=namespace)


def namespaces(body: str) -> set[Namespace]:
    """What a message says has changed. Raises UnreadableMessageError.

    Keys of another form name nothing: knowledge may have files that belong to no namespace.
    """
    try:
        value = orjson.loads(body)
        keys = [record["s3"]["object"]["key"] for record in value.get("Records", ())]
        # S3 sends one when it is told of the queue.
        if not keys and value.get("Event") != "s3:TestEvent":
            raise UnreadableMessageError
        return {named for key in keys if (named := _namespace(unquote_plus(key))) is not None}
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        raise UnreadableMessageError from None


def _namespace(key: str) -> Namespace | None:
    project_id, _, rest = key.removeprefix(PREFIX).partition("/")
    namespace, slash, _ = rest.partition("/")
    if not key.startswith(PREFIX) or not project_id or not slash or not is_name(namespace):
        return None
    return project_id, namespace
