"""A call of the API: its place in the SDK and on the wire, who may make it, and what its handler is given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_type_hints

from app.admin import refusals
from app.admin.audit import Actor, Event
from app.admin.identity import Admin
from app.admin.items import OWNER, PROJECT_OWNER, READER
from app.admin.layout import Collection, Item, admin_key_address, project_address, user_address
from app.admin.notices import Notices
from app.admin.parameters import Parameters, parse_body, parse_nothing, parse_query
from app.admin.store import ConflictError, Page, Store, settled
from app.admin.writes import Check, Delete, Update, Write

T = TypeVar("T")

Least = Literal["owner", "reader", "project owner"]
"""Who may make a call. Of calls within a project, a reader is one who is in it."""

OF_PROJECT: Least = "project owner"

Handler = Callable[..., Awaitable[dict[str, Any]]]
"""Takes a Request, and a `query` or a `body` annotated with its model; what it has no model for is refused.

Answers the JSON. Raises ApiError, TableUnavailableError.
"""


Models = Callable[[], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler works with.

    ids: those of the path, by the names of its template. models: tells those that the upstream serves; raises
    ApiError when it does not say. origin: where the gateway is for whoever asks, such as
    https://gateway.example.com.
    """

    admin: Admin
    actor: Actor
    ids: Mapping[str, str]
    store: Store
    notices: Notices
    models: Models
    origin: str
    pepper: str = field(repr=False)

    async def project(self, *, to_change: bool = False) -> Item:
        """The project that the path names. Raises ApiError when it is another organization's or none, or is
        archived and `to_change`."""
        project_id = self.ids["project_id"]
        project = await self.store.get(project_address(project_id))
        if project is None or project.get("organization_id") != self.admin.organization_id:
            raise refusals.missing("project", project_id, "project_id")
        if to_change and project["status"] != "active":
            raise refusals.archived(project_id)
        return project

    async def member(self, collection: Collection, what: str, param: str) -> Item:
        """The item of a collection whose id the path names. what: it in words. Raises ApiError."""
        found = await self.store.find(collection, self.ids[param])
        if found is None:
            raise refusals.missing(what, self.ids[param], param)
        return found

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        """All writes and their entries in the audit log, or nothing; by an owner who still is one, of the
        organization or of the project that the path names.

        Raises ApiError when they are not, and ConflictError when something has changed that was read.
        """
        admin = self.admin
        user = user_address(admin.organization_id, admin.user_id)
        if admin.role == OWNER:
            owner = Check(user, {"role": OWNER})
        else:
            owner = Check(user, {("projects", self.ids["project_id"], "role"): PROJECT_OWNER})
        fences = (owner, Check(admin_key_address(admin.key_hash)))
        for write in writes:
            # A change of oneself has no fence beside it, so what was read has to show the right.
            if isinstance(write, Update | Delete) and write.address == user and not owner.holds(write.before):
                raise refusals.unknown_admin_key()
        try:
            await self.store.commit(admin.organization_id, self.actor, writes, events, fences)
        except ConflictError as conflict:
            if any(fence in conflict.failed for fence in fences):
                raise refusals.unknown_admin_key() from None
            raise

    async def settled(self, change: Callable[[], Awaitable[T]]) -> T:
        """A change that reads, decides and commits, made again while others are faster. Raises ApiError."""
        return await settled(change)


@dataclass(frozen=True, slots=True)
class Call:
    """sdk: the call's dotted name below `client.admin.organization`. path: below /v1, with {names}. role: the
    least that may make it, which `app/admin/membership.py` sees to. ours: OpenAI's API has no such call, so
    the SDK makes it by its path alone."""

    sdk: str
    method: str
    path: str
    role: Least
    handler: Handler = field(compare=False)
    ours: bool = False
    _query: type[Parameters] | None = field(init=False, repr=False)
    _body: type[Parameters] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        hints = get_type_hints(self.handler)
        object.__setattr__(self, "_query", hints.get("query"))
        object.__setattr__(self, "_body", hints.get("body"))

    @property
    def who(self) -> str:
        """Those who may make it, in words."""
        if self.role == READER:
            return "members of the project" if "{project_id}" in self.path else "readers"
        return "owners of the project" if self.role == OF_PROJECT else "owners"

    async def answer(self, request: Request, query: bytes, body: bytes) -> dict[str, Any]:
        """Raises ApiError, TableUnavailableError."""
        given: dict[str, Any] = {}
        if self._query is not None:
            given["query"] = parse_query(self._query, query)
            query = b""
        if self._body is not None:
            given["body"] = parse_body(self._body, body)
            body = b""
        parse_nothing(query, body)
        return await self.handler(request, **given)


def listed(page: Page, show: Callable[[Item], dict[str, Any]]) -> dict[str, Any]:
    """A page as OpenAI's lists are."""
    data = [show(item) for item in page.items]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": page.has_more,
    }


def deleted(kind: str, item_id: str) -> dict[str, Any]:
    """What a deletion answers; kind: the object type without its end."""
    return {"object": f"{kind}.deleted", "id": item_id, "deleted": True}
