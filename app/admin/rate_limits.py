"""A project's limits for single models: a row for each model that the upstream lists or that has limits here.

A row's id is `rl-` and the model's name, with % signs for what cannot stand in a path. A model without a
limit of its own shows the smaller one of its project and organization, which hold for all models together,
and without those the largest limit there is; to set that one takes a limit away again. Beside OpenAI's fields
a row has `own`: of the limits that it shows, those that are the model's.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

from pydantic import Field

from app.admin import layout
from app.admin.audit import Event, difference
from app.admin.call import Call, Request, listed
from app.admin.items import OWNER, READER
from app.admin.layout import Item, organization_address, project_address, rate_limit_address
from app.admin.parameters import Cursor, NotOffered, Parameters
from app.admin.refusals import missing
from app.admin.store import page_of
from app.admin.writes import Check, Create, Update
from app.errors import invalid_request
from app.limits import MOST, parse_limits

KIND = "project.rate_limit"
ID_PREFIX = "rl-"

ATTRIBUTES = {
    "max_requests_per_1_minute": "requests_per_minute",
    "max_tokens_per_1_minute": "tokens_per_minute",
    "max_requests_per_1_day": "requests_per_day",
}
"""Of items, by the names of the API."""

Limit = int | None
_A_LIMIT = Field(default=None, ge=1, le=MOST)


class ListRateLimits(Parameters):
    after: Cursor | None = None
    before: Cursor | None = None
    limit: int = Field(default=100, ge=1, le=100)


class UpdateRateLimit(Parameters):
    max_requests_per_1_minute: Limit = _A_LIMIT
    max_tokens_per_1_minute: Limit = _A_LIMIT
    max_requests_per_1_day: Limit = _A_LIMIT
    batch_1_day_max_input_tokens: NotOffered = None
    max_audio_megabytes_per_1_minute: NotOffered = None
    max_images_per_1_minute: NotOffered = None


def shown(model: str, own: Item, owners: Iterable[Item]) -> dict[str, Any]:
    """As OpenAI's `ProjectRateLimit`, and `own`. own: the item of the model's limits, empty for none."""
    return {
        **_in_force(model, own, owners),
        "own": {name: own[attribute] for name, attribute in ATTRIBUTES.items() if attribute in own},
    }


def row_id(model: str) -> str:
    return ID_PREFIX + quote(model, safe=":")


def _in_force(model: str, own: Item, owners: Iterable[Item]) -> dict[str, Any]:
    numbers = {
        name: own.get(attribute)
        or min((item[attribute] for item in owners if attribute in item), default=None)
        for name, attribute in ATTRIBUTES.items()
    }
    return {
        "object": KIND,
        "id": row_id(model),
        "model": model,
        "max_requests_per_1_minute": numbers["max_requests_per_1_minute"] or MOST,
        "max_tokens_per_1_minute": numbers["max_tokens_per_1_minute"] or MOST,
        "max_requests_per_1_day": numbers["max_requests_per_1_day"],
    }


async def list_rate_limits(request: Request, query: ListRateLimits) -> dict[str, Any]:
    project = await request.project()
    own = {_model(item): item for item in await _own(request, project)}
    owners = await _owners(request, project)
    rows = [shown(model, own.get(model, {}), owners) for model in {*own, *await request.models()}]
    page = page_of(rows, after=query.after, before=query.before, limit=query.limit)
    return listed(page, dict)


async def update_rate_limit(request: Request, body: UpdateRateLimit) -> dict[str, Any]:
    rate_limit_id = request.ids["rate_limit_id"]
    model = unquote(rate_limit_id.removeprefix(ID_PREFIX))
    asked = body.model_dump(include=set(ATTRIBUTES), exclude_none=True)

    async def change() -> dict[str, Any]:
        project = await request.project(to_change=True)
        address = rate_limit_address(project["id"], model)
        known = await request.store.get(address) if row_id(model) == rate_limit_id else None
        if known is None and (row_id(model) != rate_limit_id or model not in await request.models()):
            raise missing("rate limit", rate_limit_id, "rate_limit_id")
        before = known or {"pk": address.pk, "sk": address.sk}
        after = dict(before)
        for name, limit in asked.items():
            if limit == MOST:
                after.pop(ATTRIBUTES[name], None)
            else:
                after[ATTRIBUTES[name]] = limit
        owners = await _owners(request, project)
        if after != before:
            _check(after)
            was, is_now = _in_force(model, before, owners), _in_force(model, after, owners)
            event = Event(
                "rate_limit.updated",
                rate_limit_id,
                {"changes_requested": asked},
                *difference(was, is_now),
                project,
            )
            write = Create(after) if known is None else Update(known, after)
            active = Check(project_address(project["id"]), {"status": "active"})
            await request.commit([active, write], [event])
        return shown(model, after, owners)

    return await request.settled(change)


def _check(item: Item) -> None:
    """Raises ApiError when the hot path would take the item for damaged."""
    try:
        parse_limits(layout.attributes(item))
    except ValueError as wrong:
        raise invalid_request(f"The limits do not go together: {wrong}.", code="invalid_value") from None


async def _own(request: Request, project: Item) -> list[Item]:
    collection = layout.rate_limits(project["id"])
    return await request.store.between(collection, "", "\U0010ffff")


async def _owners(request: Request, project: Item) -> list[Item]:
    """The items whose limits hold for all models of the project together."""
    organization = await request.store.get(organization_address(project["organization_id"]))
    return [project, organization] if organization else [project]


def _model(item: Item) -> str:
    return str(item["sk"]).removeprefix(layout.RATE_LIMIT)


_LIMITS = "/organization/projects/{project_id}/rate_limits"
_LIMIT = f"{_LIMITS}/{{rate_limit_id}}"

CALLS = (
    Call("projects.rate_limits.list_rate_limits", "GET", _LIMITS, READER, list_rate_limits),
    Call("projects.rate_limits.update_rate_limit", "POST", _LIMIT, OWNER, update_rate_limit),
)
