"""/v1/files and /v1/batches: which path is which call."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson
from starlette.types import Scope

from app import errors
from app.admin.parameters import parse_query
from app.batches import files
from app.batches.asking import Asked, BatchesQuery, Parts, kept_account_of, listed, told
from app.batches.making import make
from app.batches.settling import ENDED, without_mark
from app.errors import ApiError
from app.exchange import Exchange
from app.gateway import free, identify, pass_on
from app.table import TableUnavailableError
from app.telemetry import log_event
from app.upstream import Answer, Kept
from app.valkey import ValkeyReplyError, ValkeyUnavailableError

PREFIXES = ("/v1/files", "/v1/batches")


async def handle(exchange: Exchange, parts: Parts, scope: Scope) -> None:
    """Raises ApiError, ClientGoneError."""
    path, method = exchange.record.path, exchange.record.method
    places = path.removeprefix("/v1/").split("/")
    if not all(places) or places[0] not in ("files", "batches"):
        raise errors.unknown_url(method, path)
    caller = await identify(exchange, parts.steps)
    asked = Asked(exchange, parts, caller, scope["query_string"])
    with kept_account_of():
        match method, places:
            case "POST", ["files"]:
                await files.upload(asked)
            case "GET", ["files"]:
                await files.show(asked)
            case "GET", ["files", file_id]:
                await files.retrieve(asked, file_id)
            case "DELETE", ["files", file_id]:
                await files.delete(asked, file_id)
            case "GET", ["files", file_id, "content"]:
                await files.content(asked, file_id)
            case "POST", ["batches"]:
                await make(asked)
            case "GET", ["batches"]:
                await _show(asked)
            case "GET", ["batches", batch_id]:
                await _answer(asked, batch_id, "GET", _path(batch_id))
            case "POST", ["batches", batch_id, "cancel"]:
                await _answer(asked, batch_id, "POST", _path(batch_id) + "/cancel")
            case _:
                raise _nothing(method, path, places)


async def _show(asked: Asked) -> None:
    query = parse_query(BatchesQuery, asked.query)
    await asked.exchange.read_body(0)
    await asked.exchange.answer_json(200, await listed(asked, "BATCH", query))


async def _answer(asked: Asked, batch_id: str, method: str, path: str) -> None:
    """What the upstream tells of a batch, which is settled if it has ended."""
    await asked.exchange.read_body(0)
    await asked.own("BATCH", batch_id, "batch_id")
    answer = await free(asked.exchange, asked.parts.steps, asked.caller, path, method, kept=Kept())
    if answer.status != 200:
        await pass_on(asked.exchange, answer)
        return
    value = without_mark(answer.value)
    concluded = await _concluded(asked, value, batch_id)
    body = orjson.dumps(told(value, concluded=concluded))
    await pass_on(asked.exchange, Answer(200, answer.headers, body, answer.value))


async def _concluded(asked: Asked, value: Mapping[str, Any], batch_id: str) -> bool:
    """Notes what is told of a batch. Whether its project may be told of it; what fails now is done later."""
    records, settling = asked.parts.records, asked.parts.settling
    for _ in range(2):
        item = await asked.own("BATCH", batch_id, "batch_id")
        try:
            if await settling.take_up(item, value):
                return True
        except (ApiError, TableUnavailableError, ValkeyUnavailableError, ValkeyReplyError) as failure:
            log_event("batch_waits", level="warning", batch_id=batch_id, reason=type(failure).__name__)
            again = await records.get("BATCH", asked.caller.project_id, batch_id)
            return value["status"] not in ENDED or bool(again and again["concluded"])
    return False


def _path(batch_id: str) -> str:
    return "/batches/" + quote(batch_id, safe="")


def _nothing(method: str, path: str, places: list[str]) -> ApiError:
    allowed: tuple[str, ...] | None = {
        ("files", 1): ("GET", "POST"),
        ("files", 2): ("GET", "DELETE"),
        ("batches", 1): ("GET", "POST"),
        ("batches", 2): ("GET",),
    }.get((places[0], len(places)))
    if len(places) == 3:
        allowed = {"content": ("GET",), "cancel": ("POST",)}.get(places[2])
    return errors.unknown_url(method, path) if allowed is None else errors.wrong_method(method, path, allowed)
