"""Refusals of the gateway: status, OpenAI's error object, and the remedy; those of limits and budgets are in
`admission/errors.py`.

The statuses, types and codes are OpenAI's where OpenAI has one for the case, so that its SDK raises the
exception a program already handles.
"""

from typing import Literal

import orjson

Header = tuple[bytes, bytes]

DO_NOT_RETRY: Header = (b"x-should-retry", b"false")
DO_RETRY: Header = (b"x-should-retry", b"true")


NEVER_ASKED = frozenset(
    ("upstream_unreachable", "upstream_key_missing", "upstream_key_refused", "upstream_failed")
)
"""Codes of failures that the upstream surely did not charge for."""


class ApiError(Exception):
    """A refusal as it goes over the wire."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str,
        code: str | None = None,
        param: str | None = None,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers

    def value(self) -> dict[str, str | None]:
        """OpenAI's error object."""
        return {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}

    def body(self) -> bytes:
        """The JSON of an answer that is nothing but the error."""
        return orjson.dumps({"error": self.value()})


def invalid_request(
    message: str, *, param: str | None = None, code: str | None = None, status: int = 400
) -> ApiError:
    """The caller can mend it; `param` is the field in question, as a path like messages[0].role."""
    return ApiError(status, message, kind="invalid_request_error", param=param, code=code)


def body_too_large(limit_bytes: int) -> ApiError:
    return invalid_request(
        f"The request body is larger than the {limit_bytes} bytes that are accepted. Send a smaller one.",
        code="request_too_large",
        status=413,
    )


def body_above_cap(cap_bytes: int, project_id: str) -> ApiError:
    return invalid_request(
        f"The request body is larger than the {cap_bytes} bytes that project {project_id} caps its requests "
        "at. Send a smaller one, or ask an owner to raise input_bytes of the project's caps.",
        code="request_too_large",
        status=413,
    )


def above_cap(param: str, asked: float, cap: int, project_id: str) -> ApiError:
    return invalid_request(
        f"{param} is {asked:.0f}, and project {project_id} caps it at {cap}. Send {cap} or less, or ask an "
        "owner to raise the project's cap.",
        param=param,
        code="integer_above_max_value",
    )


def longer_than_cap(param: str, length: int, cap: int, project_id: str) -> ApiError:
    return invalid_request(
        f"{param} has {length} entries, and project {project_id} caps it at {cap}. Send {cap} or fewer, or "
        "ask an owner to raise the project's cap.",
        param=param,
        code="array_above_max_length",
    )


def model_not_permitted(model: str, project_id: str) -> ApiError:
    """As OpenAI refuses a model that a project's permissions leave out."""
    return invalid_request(
        f"Project `{project_id}` does not have access to model `{model[:256]}`. Use one of GET /v1/models, "
        "or ask an owner to permit it in the project's model permissions.",
        code="model_not_found",
        status=403,
    )


def encoded_body(encoding: str) -> ApiError:
    return invalid_request(
        f"Content-Encoding {encoding!r} is not accepted. Send the body as plain JSON.",
        code="unsupported_content_encoding",
        status=415,
    )


def malformed_http() -> ApiError:
    return invalid_request("This is not HTTP/1.1 as RFC 9112 has it.", code="malformed_request")


def head_too_large(limit_bytes: int) -> ApiError:
    return invalid_request(
        f"The request's headers are larger than the {limit_bytes} bytes that are accepted. Send fewer.",
        code="headers_too_large",
        status=431,
    )


def request_too_slow(limit_s: float) -> ApiError:
    return invalid_request(
        f"The request was not complete after {limit_s:g} s. Send it faster, or in smaller parts.",
        code="request_timeout",
        status=408,
    )


def unknown_url(method: str, path: str) -> ApiError:
    return invalid_request(
        f"There is nothing at {method} {path[:200]}. Below /v1, the base URL, the gateway serves "
        "chat/completions, completions, responses, embeddings, moderations, models, files, batches and "
        "organization.",
        code="unknown_url",
        status=404,
    )


def wrong_method(method: str, path: str, allowed: tuple[str, ...]) -> ApiError:
    error = invalid_request(
        f"{path[:200]} does not take {method}. Use {' or '.join(allowed)}.",
        code="method_not_supported",
        status=405,
    )
    error.headers = ((b"allow", ", ".join(allowed).encode()),)
    return error


_CHALLENGE: Header = (b"www-authenticate", b'Bearer realm="openai-gateway"')


def no_key() -> ApiError:
    error = invalid_request(
        "No API key was sent. Send a key of this gateway in the header 'Authorization: Bearer <key>'.",
        status=401,
    )
    error.headers = (_CHALLENGE,)
    return error


def wrong_key() -> ApiError:
    error = invalid_request(
        "The API key is not valid here. Send a key that this gateway issued and that was not revoked.",
        code="invalid_api_key",
        status=401,
    )
    error.headers = (_CHALLENGE,)
    return error


def admin_key() -> ApiError:
    return invalid_request(
        "An admin key administers and makes no model requests. Send a project's API key.",
        code="insufficient_permissions",
        status=403,
    )


def archived_project() -> ApiError:
    error = invalid_request(
        "The API key belongs to a project that was archived. Send a key of another project.",
        code="project_archived",
        status=401,
    )
    error.headers = (_CHALLENGE,)
    return error


def mismatched_scope(header: str, code: str) -> ApiError:
    error = invalid_request(
        f"The API key does not belong to what the header {header} names. Leave the header out or correct it.",
        code=code,
        status=401,
    )
    error.headers = (_CHALLENGE,)
    return error


def not_found(what: str, item_id: object, param: str, remedy: str) -> ApiError:
    """Of what is kept for a project; another's is told of as nobody's."""
    return invalid_request(
        f"{what} with id {str(item_id)[:100]!r} not found. {remedy}",
        param=param,
        code="not_found",
        status=404,
    )


def no_such(what: Literal["File", "Batch"], item_id: str, param: str) -> ApiError:
    """The same of what can be listed."""
    listed = "files" if what == "File" else "batches"
    return invalid_request(
        f"No such {what} object: {item_id[:100]}. GET /v1/{listed} lists those of this project.",
        param=param,
        code="not_found",
        status=404,
    )


def no_response(response_id: str, param: str) -> ApiError:
    """As OpenAI tells of a response that is not kept (400)."""
    return invalid_request(
        f"Previous response with id {response_id[:100]!r} not found. A project refers to its own, by their "
        "ids as this gateway gave them.",
        param=param,
        code="previous_response_not_found",
    )


def no_conversation(conversation: object) -> ApiError:
    given = conversation.get("id") if isinstance(conversation, dict) else conversation
    remedy = "Conversations are not offered here; continue a response with previous_response_id."
    return not_found("Conversation", given, "conversation", remedy)


def batches_unavailable() -> ApiError:
    return unavailable(
        "Files and batches cannot be kept account of at the moment. Try again shortly.",
        "batches_unavailable",
        retry_after_s=1,
    )


def batch_in_doubt() -> ApiError:
    error = unavailable(
        "Whether the batch was made cannot be told at the moment. If it was, it is among the listed ones "
        "within five minutes.",
        "batch_in_doubt",
        retry_after_s=300,
    )
    error.headers += (DO_NOT_RETRY,)
    return error


def not_in_cache() -> ApiError:
    # Not the 504 that RFC 9111 has for it: nothing failed, and alarms count what did.
    return ApiError(
        404,
        "The cache has no answer to this request, and x-cache: only asks for no other. "
        "Leave the header out to have the upstream asked.",
        kind="invalid_request_error",
        param="x-cache",
        code="cache_miss",
        headers=(DO_NOT_RETRY,),
    )


def cache_unavailable() -> ApiError:
    return unavailable(
        "The cache cannot be reached at the moment, so nothing was invalidated. Try again shortly.",
        "cache_unavailable",
        retry_after_s=1,
    )


def busy() -> ApiError:
    return unavailable("The gateway is at its capacity. Try again shortly.", "overloaded", retry_after_s=1)


def stopping() -> ApiError:
    return unavailable(
        "This replica of the gateway is stopping. Try again.", "shutting_down", retry_after_s=1
    )


def keys_unavailable() -> ApiError:
    return unavailable(
        "API keys cannot be checked at the moment. Try again shortly.",
        "key_store_unavailable",
        retry_after_s=1,
    )


def no_openai_key() -> ApiError:
    error = unavailable(
        "The gateway has no OpenAI API key yet. Its operator sets one with "
        "`python -m infra.seed --stack STACK`; it is used within a minute, without a restart.",
        "upstream_key_missing",
        retry_after_s=30,
    )
    error.headers += (DO_NOT_RETRY,)
    return error


def openai_key_refused() -> ApiError:
    error = unavailable(
        "The upstream refused the gateway's own API key. Its operator replaces it with "
        "`python -m infra.seed --stack STACK`; it is used within a minute, without a restart.",
        "upstream_key_refused",
        retry_after_s=30,
    )
    error.headers += (DO_NOT_RETRY,)
    return error


def upstream_unreachable() -> ApiError:
    return _bad_gateway("The upstream could not be reached. Try again shortly.", "upstream_unreachable")


def upstream_cut() -> ApiError:
    return _bad_gateway("The upstream ended its answer before it was complete. Try again.", "upstream_cut")


def upstream_malformed() -> ApiError:
    return _bad_gateway("The upstream sent an answer that cannot be understood.", "upstream_malformed")


def upstream_failed(status: int) -> ApiError:
    return _bad_gateway(f"The upstream failed with status {status}. Try again shortly.", "upstream_failed")


def upstream_too_slow(after_s: float, *, capped: bool = False) -> ApiError:
    """capped: by the project, below the gateway's own bound."""
    whose = "that the project caps its answers at" if capped else "the longest this gateway waits"
    return ApiError(
        504,
        f"The answer was not complete after {after_s:g} s, {whose}. Ask for a shorter one.",
        kind="server_error",
        code="upstream_timeout",
    )


def internal(request_id: str) -> ApiError:
    return ApiError(
        500,
        f"The gateway failed on this request. Give its operator the request id {request_id}.",
        kind="server_error",
        code="internal_error",
    )


def unavailable(message: str, code: str, retry_after_s: int) -> ApiError:
    return ApiError(
        503,
        message,
        kind="server_error",
        code=code,
        headers=((b"retry-after", str(retry_after_s).encode()),),
    )


def _bad_gateway(message: str, code: str) -> ApiError:
    return ApiError(502, message, kind="server_error", code=code)
