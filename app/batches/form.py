"""multipart/form-data, read and written by aiohttp's own parser and writer, over bytes that are at hand."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.base_protocol import BaseProtocol

from app.body import MAX_BODY_BYTES
from app.errors import ApiError, invalid_request
from app.validate import missing

MAX_FILE_BYTES = MAX_BODY_BYTES
FORM_BYTES = 64 * 1024
"""What a form may have around its file."""

MAX_FIELDS = 16
MAX_TEXT_BYTES = 4096
MAX_NAME_CHARACTERS = 200
_NAME = re.compile(r"[A-Za-z0-9_\[\]]{1,64}")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\]')


@dataclass(frozen=True, slots=True)
class Form:
    """A file, and the texts beside it by name."""

    filename: str
    content: bytes
    texts: Mapping[str, str]


async def read_form(content_type: str, body: bytes) -> Form:
    """Raises ApiError (400, 413)."""
    if not content_type.lower().startswith("multipart/form-data"):
        raise _wrong("The request is no form. Send multipart/form-data with the fields file and purpose.")
    try:
        parts = await _parts(content_type, body)
    except ApiError:
        raise
    except (ValueError, LookupError, AssertionError, RuntimeError, EOFError, aiohttp.ClientError):
        raise _wrong("The form is not multipart/form-data as RFC 7578 has it.") from None
    if "file" not in parts:
        raise missing("file", "a JSONL file with a request in each line")
    filename, content = parts.pop("file")
    if len(content) > MAX_FILE_BYTES:
        raise invalid_request(
            f"The file is larger than the {MAX_FILE_BYTES} bytes that are accepted. Split it into several.",
            param="file",
            code="file_too_large",
            status=413,
        )
    texts: dict[str, str] = {}
    for name, (_, value) in parts.items():
        try:
            texts[name] = value.decode()
        except UnicodeDecodeError:
            raise invalid_request(f"{name[:100]} is not UTF-8.", param=name[:100]) from None
        if len(value) > MAX_TEXT_BYTES:
            raise invalid_request(f"{name[:100]} is too long.", param=name[:100])
    # Nothing of it ends a header, or the text that it is in.
    return Form(_UNSAFE.sub("_", filename)[:MAX_NAME_CHARACTERS] or "file.jsonl", bytes(content), texts)


async def write_form(form: Form) -> tuple[str, bytes]:
    """The content type and the body."""
    with aiohttp.MultipartWriter("form-data") as writer:
        for name, text in form.texts.items():
            part = writer.append(text)
            part.set_content_disposition("form-data", quote_fields=False, name=name)
        part = writer.append(form.content, {"Content-Type": "application/jsonl"})
        part.set_content_disposition("form-data", quote_fields=False, name="file", filename=form.filename)
        return writer.content_type, await writer.as_bytes()


async def _parts(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """File name and content of each field. Raises what aiohttp raises on what is no form."""
    loop = asyncio.get_running_loop()
    # All of it is there at once: there is nobody to be told to pause.
    stream = aiohttp.StreamReader(BaseProtocol(loop), len(body) + 1, loop=loop)
    stream.feed_data(body)
    stream.feed_eof()
    parts: dict[str, tuple[str, bytes]] = {}
    reader = aiohttp.MultipartReader({"Content-Type": content_type}, stream)
    while (part := await reader.next()) is not None:
        if not isinstance(part, aiohttp.BodyPartReader) or not _NAME.fullmatch(part.name or ""):
            raise ValueError("a part without a name, or within another")
        if part.name in parts:
            raise ValueError("a name twice")
        if len(parts) == MAX_FIELDS:
            raise ValueError("too many parts")
        parts[str(part.name)] = part.filename or "", bytes(await part.read())
    if not reader.at_eof():
        raise ValueError("no end")
    return parts


def _wrong(message: str) -> ApiError:
    return invalid_request(message, code="invalid_form")
