"""/v1/files and /v1/batches: files in memory, and batches that are done when they are next looked at.

Forms: OpenAI's API reference, "The file object", "The batch object", "The request input object" and "The
request output object". A batch that is held stays in progress until it is let go or cancelled.
"""

import email.parser
import email.policy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

from local.stand_in.answers import BadRequestError, new_id

WINDOW_S = 24 * 3600
ENDED = ("failed", "completed", "expired", "cancelled")

AnswerLine = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]]
"""The status and the body that answer a request to an endpoint; the path begins with /v1."""


class NotThereError(LookupError):
    """There is no such file or batch, or nothing at the path."""


@dataclass(frozen=True)
class Asked:
    """A request to either endpoint. path: without /v1."""

    method: str
    path: str
    query: str
    content_type: str
    body: bytes


@dataclass
class _Batch:
    value: dict[str, Any]
    requests: list[dict[str, Any]] = field(default_factory=list)


class Batches:
    """Files and batches since the last reset. held: whether batches stay in progress. done: of how many of
    its requests a batch gets before it expires or is cancelled; None: of all, and it does not expire. cut:
    whether the connection is dropped once a batch is made. failing: the status that is told whoever made
    a batch or a file, None: 200. unreadable: whether no content can be had."""

    def __init__(self, answer_line: AnswerLine) -> None:
        self._answer_line = answer_line
        self.reset()

    def reset(self) -> None:
        self.held = False
        self.done: int | None = None
        self.cut = self.unreadable = False
        self.failing: int | None = None
        self._files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self._batches: dict[str, _Batch] = {}

    def answer(self, asked: Asked) -> dict[str, Any] | bytes:
        """The JSON of an answer, or a file's content. Raises BadRequestError, NotThereError."""
        match asked.method, asked.path.strip("/").split("/"):
            case "POST", ["files"]:
                return self._upload(asked)
            case "GET", ["files"]:
                purpose = parse_qs(asked.query).get("purpose")
                files = [value for value, _ in self._files.values()]
                return _page([one for one in files if not purpose or one["purpose"] in purpose], asked.query)
            case "GET", ["files", name]:
                return self._file(name)[0]
            case "GET", ["files", name, "content"]:
                return self._file(name)[1]
            case "DELETE", ["files", name]:
                self._file(name)
                del self._files[name]
                return {"id": name, "object": "file", "deleted": True}
            case "POST", ["batches"]:
                return self._create(orjson.loads(asked.body))
            case "GET", ["batches"]:
                return _page([self._looked_at(name) for name in self._batches], asked.query)
            case "GET", ["batches", name]:
                return self._looked_at(name)
            case "POST", ["batches", name, "cancel"]:
                return self._cancel(name)
        raise NotThereError(f"There is nothing at {asked.method} {asked.path}.")

    def _upload(self, asked: Asked) -> dict[str, Any]:
        fields = _form(asked)
        if "file" not in fields or "purpose" not in fields:
            raise BadRequestError("A form with file and purpose is expected.", "file")
        name, content = fields["file"]
        return self._keep(name, content, fields["purpose"][1].decode())

    def _keep(self, name: str, content: bytes, purpose: str) -> dict[str, Any]:
        value: dict[str, Any] = {
            "id": new_id("file-"),
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        self._files[value["id"]] = value, content
        return value

    def _file(self, name: str) -> tuple[dict[str, Any], bytes]:
        if name not in self._files:
            raise NotThereError(f"No such File object: {name}")
        return self._files[name]

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        value, content = self._file(str(wanted.get("input_file_id")))
        if value["purpose"] != "batch":
            raise BadRequestError("The file's purpose is not batch.", "input_file_id")
        now = int(time.time())
        batch: dict[str, Any] = {
            "id": new_id("batch_"),
            "object": "batch",
            "endpoint": wanted.get("endpoint"),
            "errors": None,
            "input_file_id": value["id"],
            "completion_window": wanted.get("completion_window"),
            "status": "in_progress",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "in_progress_at": now,
            "expires_at": now + WINDOW_S,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": wanted.get("metadata"),
        }
        requests, problems = _requests(content, str(batch["endpoint"]))
        if problems:
            errors = {"object": "list", "data": problems}
            batch |= {"status": "failed", "failed_at": now, "errors": errors}
        batch["request_counts"]["total"] = len(requests)
        self._batches[batch["id"]] = _Batch(batch, requests)
        return dict(batch)

    def _looked_at(self, name: str) -> dict[str, Any]:
        if name not in self._batches:
            raise NotThereError(f"No batch found with id '{name}'.")
        batch = self._batches[name]
        if batch.value["status"] == "cancelling":
            self._process(batch, "cancelled", self.done or 0)
        elif batch.value["status"] == "in_progress" and not self.held:
            self._process(batch, "completed" if self.done is None else "expired", self.done)
        return dict(batch.value)

    def _cancel(self, name: str) -> dict[str, Any]:
        value = self._looked_at(name)
        if value["status"] in ENDED:
            raise BadRequestError(f"Cannot cancel a batch with status '{value['status']}'.", "batch_id")
        self._batches[name].value |= {"status": "cancelling", "cancelling_at": int(time.time())}
        return dict(self._batches[name].value)

    def _process(self, batch: _Batch, status: str, done: int | None) -> None:
        good: list[bytes] = []
        bad: list[bytes] = []
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        for request in batch.requests[:done]:
            code, body = self._answer_line(str(request["url"]), request["body"])
            line = {
                "id": new_id("batch_req_"),
                "custom_id": request["custom_id"],
                "response": {"status_code": code, "request_id": new_id("req_"), "body": body},
                "error": None,
            }
            (good if code == 200 else bad).append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            _add(usage, body.get("usage") or {})
        now = int(time.time())
        batch.value |= {
            "status": status,
            "finalizing_at": now,
            f"{status}_at": now,
            "request_counts": {
                "total": len(batch.requests),
                "completed": len(good),
                "failed": len(bad),
            },
            "usage": {
                **usage,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }
        for lines, name in ((good, "output"), (bad, "error")):
            if lines:
                kept = self._keep(f"{batch.value['id']}_{name}.jsonl", b"".join(lines), "batch_output")
                batch.value[f"{name}_file_id"] = kept["id"]


def _requests(content: bytes, endpoint: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of an input file, and what is wrong with them."""
    requests, problems, known = [], [], set()
    for number, line in enumerate(content.splitlines(), 1):
        problem = None
        try:
            request = orjson.loads(line)
            if request["method"] != "POST" or request["url"] != endpoint:
                problem = "invalid_url"
            elif request["custom_id"] in known:
                problem = "duplicate_custom_id"
            known.add(request["custom_id"])
            requests.append({**request, "body": dict(request["body"])})
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            problem = "invalid_json_line"
        if problem:
            message = f"Line {number}: {problem}."
            problems.append({"code": problem, "line": number, "message": message, "param": None})
    if not requests and not problems:
        problems.append({"code": "empty_file", "line": None, "message": "The file is empty.", "param": None})
    return requests, problems


def _form(asked: Asked) -> Mapping[str, tuple[str, bytes]]:
    """The fields of a multipart form: file name (empty when it is none) and content."""
    head = f"content-type: {asked.content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + asked.body)
    fields: dict[str, tuple[str, bytes]] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = part.get_filename() or "", content
    return fields


def _page(values: list[dict[str, Any]], query: str) -> dict[str, Any]:
    """The newest first, as many as asked for."""
    given = parse_qs(query)
    newest = values[::-1]
    if after := given.get("after"):
        ids = [value["id"] for value in newest]
        newest = newest[ids.index(after[0]) + 1 :] if after[0] in ids else []
    most = int(given.get("limit", ["20"])[0])
    page = newest[:most]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
    return {"object": "list", "data": page, **ends, "has_more": len(newest) > most}


def _add(sums: dict[str, int], usage: dict[str, Any]) -> None:
    sums["input_tokens"] += int(usage.get("prompt_tokens") or usage.get("input_tokens") or 0)
    sums["output_tokens"] += int(usage.get("completion_tokens") or usage.get("output_tokens") or 0)
    sums["total_tokens"] += int(usage.get("total_tokens") or 0)
