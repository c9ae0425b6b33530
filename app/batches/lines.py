"""The requests of a batch's input file: each is held to what it would be held to alone.

Form of a line: OpenAI's API reference, "The request input object". A file is for one endpoint and one model,
as OpenAI has it, so what comes of it has one price. Lines are written anew from what was read of them, so
that both sides read the same, with the project's aliases and defaults put in.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import orjson

from app import errors
from app.admission.charge import bounds
from app.admission.errors import unbounded_cost, unpriced_model
from app.body import json_object
from app.caps import check_input, within
from app.endpoints import ENDPOINTS, ApiRequest, Endpoint
from app.errors import ApiError, invalid_request
from app.identity import Caller
from app.kept.references import references
from app.models.choice import Models
from app.prices import Price, Prices, Shares, for_batches
from app.retention import unstored

MAX_REQUESTS = 50_000
"""OpenAI's own bound."""

MAX_CUSTOM_ID_CHARACTERS = 512
AT_ONCE = 50
"""Lines that are read before others have their turn."""

URLS: dict[str, Endpoint] = {"/v1" + endpoint.path: endpoint for endpoint in ENDPOINTS}
_FIELDS = {"custom_id", "method", "url", "body"}


@dataclass(slots=True)
class Input:
    """What a file asks for. content: as it goes upstream. micro_usd, shares,
    prompt_tokens, answer_tokens: the most that all its requests can cost and have. price: of a batch, None
    when it is not known."""

    url: str
    endpoint: Endpoint
    model: str
    requests: int
    content: bytes
    price: Price | None
    micro_usd: int
    shares: Shares
    prompt_tokens: int
    answer_tokens: int


async def read_input(
    content: bytes, caller: Caller, models: Models, prices: Prices, *, resolve: bool
) -> Input:
    """Reads a file as a project may have it processed.

    resolve: names may be aliases. Raises ApiError (400, 403, 413) that names the line.
    """
    reading = _Reading(caller, models, prices, resolve=resolve)
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        if len(reading.ids) == MAX_REQUESTS:
            raise _wrong(f"The file has more than {MAX_REQUESTS} requests. Split it into several.")
        try:
            reading.add(line)
        except ApiError as refusal:
            raise _at(number, refusal) from None
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    return reading.whole()


class _Reading:
    """What is known of a file after some of its lines. ids: their custom_ids."""

    def __init__(self, caller: Caller, models: Models, prices: Prices, *, resolve: bool) -> None:
        self._caller = caller
        self._models = models
        self._prices = prices
        self._resolve = resolve
        self._url = ""
        self._first: ApiRequest | None = None
        self._price: Price | None = None
        self._lines: list[bytes] = []
        self._most = [0, 0, 0, 0]
        self.ids: set[str] = set()

    def add(self, line: bytes) -> None:
        """Raises ApiError."""
        fields = json_object(line)
        self._know(fields)
        request = self._request(fields["url"], orjson.dumps(fields["body"]))
        if self._first is None:
            self._first, self._url = request, fields["url"]
            price = self._prices.of(request)
            self._price = None if price is None else for_batches(price)
        elif fields["url"] != self._url:
            raise _wrong(f"url is {fields['url']}, and that of the lines before is {self._url}.", "url")
        elif request.model != self._first.model:
            raise _wrong(
                f"The model is {request.model}, and that of the lines before is {self._first.model}. "
                "A file is for one model.",
                "body.model",
            )
        self._count(request)
        around = {name: fields[name] for name in ("custom_id", "method", "url")}
        self._lines.append(orjson.dumps(around)[:-1] + b',"body":' + request.body + b"}\n")

    def whole(self) -> Input:
        """Raises ApiError."""
        if self._first is None:
            raise _wrong("The file has no requests. Write one into each line.")
        prompt, answer, micro_usd, answer_micro_usd = self._most
        return Input(
            url=self._url,
            endpoint=self._first.endpoint,
            model=self._first.model,
            requests=len(self._lines),
            content=b"".join(self._lines),
            price=self._price,
            micro_usd=micro_usd,
            shares=Shares(0, answer_micro_usd),
            prompt_tokens=prompt,
            answer_tokens=answer,
        )

    def _know(self, fields: dict[str, Any]) -> None:
        """Checks what is around a request."""
        custom_id = fields.get("custom_id")
        if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MAX_CUSTOM_ID_CHARACTERS:
            raise _wrong(
                f"custom_id is not a text of 1 to {MAX_CUSTOM_ID_CHARACTERS} characters.", "custom_id"
            )
        if custom_id in self.ids:
            raise _wrong(
                f"custom_id {custom_id[:100]!r} is that of an earlier line too.",
                "custom_id",
                "duplicate_custom_id",
            )
        self.ids.add(custom_id)
        if fields.get("method") != "POST":
            raise _wrong("method is not POST.", "method", "invalid_method")
        if not isinstance(fields.get("url"), str) or fields["url"] not in URLS:
            raise _wrong(f"url is not one of {', '.join(URLS)}.", "url", "invalid_url")
        if not isinstance(fields.get("body"), dict):
            raise _wrong("body is not an object.", "body", "invalid_type")
        if unknown := sorted(fields.keys() - _FIELDS):
            raise _wrong(f"{unknown[0][:100]} is not known in a line.", unknown[0][:100])

    def _request(self, url: str, body: bytes) -> ApiRequest:
        """As the way of a request has it, but for what a batch cannot have."""
        caller, settings = self._caller, self._caller.settings
        check_input(settings.caps, body, caller.project_id)
        endpoint = URLS[url]
        request = endpoint.parse(body, settings.default_model_of(endpoint) if self._resolve else None)
        request = _self_contained(request)
        if request.stream:
            raise _wrong("stream is true, and a batch has no streams. Leave it out.", "stream")
        if request.fields.get("service_tier") not in (None, "auto", "default"):
            raise _wrong("service_tier is not for batches. Leave it out.", "service_tier")
        if caller.keeps_nothing:
            request = unstored(request)
        if self._resolve:
            request = replace(self._models.choose(request, caller), chain=None)
        else:
            permissions = settings.model_permissions
            if permissions is not None and not permissions.permit(request.model):
                raise errors.model_not_permitted(request.model, caller.project_id)
        return within(settings.caps, request, caller.project_id)

    def _count(self, request: ApiRequest) -> None:
        price = self._price
        plan = self._caller.plan(request.model)
        if plan.has_budget:
            if price is None:
                raise unpriced_model(request.model, plan)
            if request.unbounded_param is not None:
                raise unbounded_cost(request.unbounded_param, plan)
        most = bounds(request, price)
        added = [most.prompt_tokens, most.answer_tokens, 0, 0]
        if price is not None:
            added[2] = price.bound(*added[:2])
            added[3] = price.bound_shares(*added[:2]).completion_micro_usd
        self._most = [known + more for known, more in zip(self._most, added, strict=True)]


def _self_contained(request: ApiRequest) -> ApiRequest:
    """Without the ids of items that bring their content. Raises ApiError (400) when it refers to more."""
    try:
        found = references(request, lambda _: None)
    except ApiError as refused:
        raise _refers(refused.param or "input") from None
    if found.files:
        raise _refers(found.files[0][0])
    return request.rewritten(found.members) if found.members else request


def _refers(param: str) -> ApiError:
    return _wrong(f"{param} refers to what is kept upstream, which a batch cannot. Leave it out.", param)


def _at(number: int, refusal: ApiError) -> ApiError:
    """The refusal of one request as that of the file."""
    message = f"Line {number} of the file: {refusal.message}"
    refused = ApiError(refusal.status, message, kind=refusal.kind, code=refusal.code, param=refusal.param)
    refused.headers = refusal.headers
    return refused


def _wrong(message: str, param: str = "file", code: str = "invalid_value") -> ApiError:
    return invalid_request(message, param=param, code=code)
