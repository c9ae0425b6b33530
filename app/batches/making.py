"""POST /v1/batches: the most that all requests can cost is held before the upstream is asked for them."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

import orjson
from pydantic import Field, StringConstraints

from app import errors
from app.admin.parameters import MAX_BODY_BYTES, Parameters, parse_body
from app.admission.hold import Hold
from app.batches.asking import PURPOSE, Asked
from app.batches.lines import Input, read_input
from app.batches.open_batch import OpenBatch
from app.batches.records import ChangedError
from app.batches.settling import MARK, without_mark
from app.errors import ApiError, invalid_request
from app.gateway import pass_on
from app.ledger_record import encode, shared
from app.ledger_rollups import BATCHES
from app.prices import spelled
from app.table import TableUnavailableError
from app.upstream import Answer, Kept, UpstreamRefusal
from app.usage import Usage

WINDOW_S = 24 * 3600
MARGIN_S = 24 * 3600
"""How long after its window a batch may be told to have ended before it is charged in full."""

ASKED_WITHIN_S = 60.0
COPIES = 3
"""Of a file that are in memory at once: as it comes, as one, its lines."""

MAX_PAIRS = 15
"""Of metadata: OpenAI takes 16, and one is the gateway's."""


class OutputExpiresAfter(Parameters):
    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=2_592_000)


class BatchBody(Parameters):
    input_file_id: Annotated[str, Field(min_length=1, max_length=200)]
    endpoint: Annotated[str, Field(max_length=100)]
    completion_window: Literal["24h"]
    metadata: (
        Annotated[
            dict[
                Annotated[str, StringConstraints(max_length=64)],
                Annotated[str, StringConstraints(max_length=512)],
            ],
            Field(max_length=MAX_PAIRS),
        ]
        | None
    ) = None
    output_expires_after: OutputExpiresAfter | None = None


async def make(asked: Asked) -> None:
    """Raises ApiError, ClientGoneError."""
    exchange, caller, parts = asked.exchange, asked.caller, asked.parts
    wanted = parse_body(BatchBody, await exchange.read_body(MAX_BODY_BYTES))
    content = await _input(asked, wanted)
    exchange.record.model = content.model
    now_s = await parts.settling.now_s()
    batch = _open_batch(asked, content, now_s)
    hold = await parts.admission.reserve_batch(
        caller,
        batch.request_id,
        content.model,
        content.micro_usd,
        (WINDOW_S + MARGIN_S) * 1000,
        batch.expired.encode(),
    )
    exchange.headers += hold.headers
    await _note(asked, batch, hold)
    fields: dict[str, Any] = wanted.model_dump(exclude_none=True)
    fields["metadata"] = {**(wanted.metadata or {}), MARK: batch.request_id}
    answer = await _ask(asked, batch, hold, orjson.dumps(fields))
    if answer.status != 200:
        await _give_back(asked, batch, hold)
        await pass_on(exchange, answer)
        return
    await _begun(asked, batch, hold, answer)
    await exchange.answer(200, orjson.dumps(without_mark(answer.value)), answer.headers)


async def _input(asked: Asked, wanted: BatchBody) -> Input:
    """The file as the upstream has it, read again: limits, permissions and prices are those of now."""
    item = await asked.own("FILE", wanted.input_file_id, "input_file_id")
    file = orjson.loads(item["value"])
    if file.get("purpose") != PURPOSE:
        raise _wrong("is no file of purpose batch. Upload one")
    written = await _download(asked, wanted.input_file_id, int(file["bytes"]))
    read = await read_input(
        written, asked.caller, asked.parts.steps.models, asked.parts.prices, resolve=False
    )
    if read.content != written:
        raise _wrong("was uploaded when other defaults held for the project. Upload it again")
    if read.url != wanted.endpoint:
        raise invalid_request(
            f"endpoint is {wanted.endpoint!r}, and the requests of the file are for {read.url}. Send that.",
            param="endpoint",
            code="mismatched_endpoint",
        )
    return read


async def _download(asked: Asked, file_id: str, size_bytes: int) -> bytes:
    asked.exchange.make_room(COPIES * size_bytes)
    path = f"/files/{quote(file_id, safe='')}/content"
    content = bytearray()
    try:
        async with asked.parts.steps.upstream.download(path, asked.exchange) as file:
            while chunk := await file.content.readany():
                content += chunk
                if len(content) > size_bytes:
                    raise errors.upstream_malformed()
    except UpstreamRefusal as refusal:
        if refusal.answer.status == 404:
            raise _wrong("is not kept upstream any more. Upload it again") from None
        raise errors.upstream_failed(refusal.answer.status) from None
    return bytes(content)


def _open_batch(asked: Asked, content: Input, now_s: float) -> OpenBatch:
    caller, request_id = asked.caller, asked.exchange.record.request_id
    beginning = shared(
        caller.organization_id,
        caller.project_id,
        caller.key_id,
        BATCHES + content.endpoint.path,
        content.model,
        "default",
        caller.service_account_id or "",
        "",
        content.price is not None,
        content.requests,
    )
    most = Usage(
        content.prompt_tokens,
        content.answer_tokens,
        content.prompt_tokens + content.answer_tokens,
        estimated=True,
    )
    return OpenBatch(
        request_id=request_id,
        organization_id=caller.organization_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        user_id=caller.service_account_id or "",
        endpoint=content.endpoint.path,
        model=content.model,
        requests=content.requests,
        held_micro_usd=content.micro_usd,
        held_until_ms=int((now_s + WINDOW_S + MARGIN_S) * 1000),
        expired=encode(beginning, request_id, "expired", most, content.micro_usd, content.shares).decode(),
        price="" if content.price is None else spelled(content.price),
        created_at=int(now_s),
    )


async def _note(asked: Asked, batch: OpenBatch, hold: Hold) -> None:
    """From here on, what is held is held in every memory. Raises ApiError."""
    try:
        await asked.parts.records.hold(batch, hold.generation)
    except BaseException as failure:
        # It may have been written all the same; then it is found not to have been made, and forgotten.
        asked.parts.admission.settle(hold, None, used=False)
        if isinstance(failure, ChangedError | TableUnavailableError):
            raise errors.batches_unavailable() from None
        raise


async def _ask(asked: Asked, batch: OpenBatch, hold: Hold, body: bytes) -> Answer:
    """Raises ApiError; batch_in_doubt when it may have been made: then it stays held, and is looked for."""
    try:
        answer = await asked.parts.steps.upstream.complete(
            "POST", "/batches", asked.exchange, body, within_s=ASKED_WITHIN_S, kept=Kept(once=True)
        )
    except ApiError as failed:
        if failed.code not in errors.NEVER_ASKED or failed.code == "upstream_failed":
            raise errors.batch_in_doubt() from None
        await _give_back(asked, batch, hold)
        raise
    if answer.status >= 500 or answer.status in (408, 409):
        raise errors.batch_in_doubt()
    return answer


async def _give_back(asked: Asked, batch: OpenBatch, hold: Hold) -> None:
    await asked.parts.records.forget(batch)
    asked.parts.admission.settle(hold, None, used=False)


async def _begun(asked: Asked, batch: OpenBatch, hold: Hold, answer: Answer) -> None:
    """Raises ApiError when the batch is made, and nobody could write it down."""
    records, value = asked.parts.records, without_mark(answer.value)
    batch_id = str(value["id"])
    try:
        await records.begun(batch, value)
    except TableUnavailableError:
        raise errors.batch_in_doubt() from None
    except ChangedError:
        known = await records.get("BATCH", batch.project_id, batch_id)
        if known is None:
            # It took so long that it was given up meanwhile: nothing holds it.
            path = f"/batches/{quote(batch_id, safe='')}/cancel"
            await asked.parts.steps.upstream.complete("POST", path, asked.exchange, kept=Kept())
            raise errors.batches_unavailable() from None
        if known["request_id"] != batch.request_id:
            # The upstream answered as it had answered before, to the same Idempotency-Key.
            await _give_back(asked, batch, hold)


def _wrong(what: str) -> ApiError:
    return invalid_request(f"input_file_id {what}.", param="input_file_id", code="invalid_value")
