"""/v1/files: input files of batches, and what came of them. Each is its project's alone."""

from dataclasses import replace
from urllib.parse import quote

from app.admin.parameters import parse_query
from app.batches.asking import PURPOSE, Asked, FilesQuery, listed
from app.batches.form import FORM_BYTES, MAX_FILE_BYTES, Form, read_form, write_form
from app.batches.lines import read_input
from app.errors import Header, invalid_request
from app.gateway import free, pass_on
from app.upstream import Kept, UpstreamRefusal

COPIES = 4
"""Of an upload that are in memory at once: as it came, its file, its lines, as it goes."""

_RETURNED = ("content-length", "content-type", "content-disposition")


async def upload(asked: Asked) -> None:
    """POST /v1/files. Raises ApiError, ClientGoneError."""
    exchange, caller, parts = asked.exchange, asked.caller, asked.parts
    body = await exchange.read_body(MAX_FILE_BYTES + FORM_BYTES)
    exchange.make_room(COPIES * len(body))
    form = await read_form(exchange.header(b"content-type") or "", body)
    _check(form, asked)
    content = await read_input(form.content, caller, parts.steps.models, parts.prices, resolve=True)
    exchange.record.model = content.model
    content_type, written = await write_form(replace(form, content=content.content))
    # An upload is complete whether its caller waits for it or not: a file that is nobody's helps nobody.
    kept = Kept(content_type, once=True)
    answer = await free(exchange, parts.steps, caller, "/files", "POST", written, kept)
    if answer.status == 200:
        await parts.records.add_file(caller.project_id, answer.value)
    await pass_on(exchange, answer)


async def show(asked: Asked) -> None:
    """GET /v1/files. Raises ApiError, ClientGoneError."""
    query = parse_query(FilesQuery, asked.query)
    await asked.exchange.read_body(0)
    await asked.exchange.answer_json(200, await listed(asked, "FILE", query))


async def retrieve(asked: Asked, file_id: str) -> None:
    """GET /v1/files/{id}. Raises ApiError, ClientGoneError."""
    await asked.exchange.read_body(0)
    await asked.own("FILE", file_id, "file_id")
    path = _path(file_id)
    with asked.exchange.while_client_stays():
        answer = await free(asked.exchange, asked.parts.steps, asked.caller, path, kept=Kept())
        await pass_on(asked.exchange, answer)


async def delete(asked: Asked, file_id: str) -> None:
    """DELETE /v1/files/{id}. Raises ApiError, ClientGoneError."""
    await asked.exchange.read_body(0)
    await asked.own("FILE", file_id, "file_id")
    answer = await free(
        asked.exchange, asked.parts.steps, asked.caller, _path(file_id), "DELETE", kept=Kept()
    )
    if answer.status in (200, 404):
        await asked.parts.records.forget_file(asked.caller.project_id, file_id)
    await pass_on(asked.exchange, answer)


async def content(asked: Asked, file_id: str) -> None:
    """GET /v1/files/{id}/content, passed on as it comes. Raises ApiError, ClientGoneError."""
    exchange = asked.exchange
    await exchange.read_body(0)
    await asked.own("FILE", file_id, "file_id")
    hold = await asked.parts.admission.reserve(asked.caller, exchange.record.request_id, None)
    exchange.headers += hold.headers
    try:
        with exchange.while_client_stays():
            try:
                async with asked.parts.steps.upstream.download(_path(file_id) + "/content", exchange) as file:
                    headers: tuple[Header, ...] = tuple(
                        (name.encode(), file.headers[name].encode("latin-1", "replace"))
                        for name in _RETURNED
                        if name in file.headers
                    )
                    await exchange.begin_content(headers)
                    while chunk := await file.content.readany():
                        await exchange.write(chunk)
                    await exchange.end_stream()
            except UpstreamRefusal as refusal:
                await pass_on(exchange, refusal.answer)
    finally:
        asked.parts.admission.settle(hold, None, used=False)


def _check(form: Form, asked: Asked) -> None:
    """Raises ApiError (400, 413)."""
    purpose = form.texts.get("purpose")
    if purpose != PURPOSE:
        raise invalid_request(
            f"purpose is {str(purpose)[:100]!r}. Files are for batches here: send {PURPOSE!r}.",
            param="purpose",
            code="unsupported_purpose" if purpose else "missing_required_parameter",
        )
    if asked.caller.keeps_nothing:
        raise invalid_request(
            "zero_data_retention holds for this project, so nothing is stored, and a batch's files would be. "
            "Send the requests one by one.",
            param="file",
            code="zero_data_retention",
        )


def _path(file_id: str) -> str:
    return "/files/" + quote(file_id, safe="")
