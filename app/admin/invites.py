"""Invites: who may become a user, by a link that works once and for a week.

The link is in the answer that makes the invite, this one time, for the owner to hand on. The stack's topic is
told without it: SNS sends to all who subscribed, and a link that opens the organization is for one person.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.admin import items, layout
from app.admin.audit import Event
from app.admin.call import Call, Request, deleted, listed
from app.admin.items import OWNER, ProjectRole, Role
from app.admin.layout import Item, email_address, project_address
from app.admin.parameters import Name, PageParameters, Parameters
from app.admin.refusals import email_taken
from app.admin.writes import Check, Create, Delete, Write
from app.errors import invalid_request

KIND = "organization.invite"
PREFIX = "/invites/"
"""Of the path of the page that accepts (`invite_page.py`). What follows is the token, which the logs of
the gateway and the firewall leave out. The balancer's cannot; operators are denied its bucket."""

LOGGED_PATH = f"{PREFIX}{{token}}"

VALID_FOR_S = 7 * 24 * 3600
MAX_PROJECTS = 20
"""Of one invite, so that one transaction can check them all."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def _email(value: str) -> str:
    if not value.isprintable() or not _EMAIL.fullmatch(value):
        raise ValueError("must be an e-mail address, such as ada@example.com")
    return value.lower()


class InvitedProject(Parameters):
    id: Name
    role: Literal["member", "owner"]


class CreateInvite(Parameters):
    email: Annotated[str, Field(max_length=254), AfterValidator(_email)]
    role: Role
    projects: list[InvitedProject] = Field(default=[], max_length=MAX_PROJECTS)


def status(invite: Item) -> Literal["accepted", "expired", "pending"]:
    if "accepted_at" in invite:
        return "accepted"
    return "pending" if items.now() < invite["valid_until"] else "expired"


def shown(invite: Item) -> dict[str, Any]:
    """As OpenAI's `Invite`."""
    return {
        "object": KIND,
        "id": invite["id"],
        "email": invite["email"],
        "role": invite["role"],
        "projects": invite["projects"],
        "status": status(invite),
        "created_at": invite["created_at"],
        "expires_at": invite["valid_until"],
        "accepted_at": invite.get("accepted_at"),
    }


async def create(request: Request, body: CreateInvite) -> dict[str, Any]:
    """Beside OpenAI's fields it answers `accept_url`, the link."""
    organization_id = request.admin.organization_id
    roles: dict[str, ProjectRole] = {project.id: project.role for project in body.projects}
    token, invite = items.new_invite(
        request.pepper,
        organization_id,
        email=body.email,
        role=body.role,
        projects=roles,
        for_s=VALID_FOR_S,
    )
    told = {"data": {"email": body.email, "role": body.role}}
    sent = Event("invite.sent", invite["id"], told, after=shown(invite))

    async def change() -> None:
        if await request.store.get(email_address(organization_id, body.email)):
            raise email_taken("email")
        found = await request.store.get_all(map(project_address, roles))
        for position, project in enumerate(body.projects):
            known = found.get(project_address(project.id), {})
            if known.get("organization_id") != organization_id or known["status"] != "active":
                raise invalid_request(
                    f"Invalid value for 'projects[{position}].id': there is no active project {project.id!r} "
                    "here.",
                    param=f"projects[{position}].id",
                    code="invalid_value",
                )
        checks: list[Write] = [Check(address, {"status": "active"}) for address in found]
        await request.commit([*checks, Create(invite)], [sent])

    await request.settled(change)
    await request.notices.tell(
        f"{body.email} is invited to {organization_id} as {body.role}",
        f"{request.admin.email or request.admin.user_id} has invited {body.email} to {organization_id} as "
        f"{body.role}. Whoever invited has the link and hands it on. If this should not be, an owner deletes "
        f"the invite {invite['id']}.",
    )
    return {**shown(invite), "accept_url": request.origin + PREFIX + token}


async def list_(request: Request, query: PageParameters) -> dict[str, Any]:
    page = await request.store.page(
        layout.invites(request.admin.organization_id), after=query.after, limit=query.limit
    )
    return listed(page, shown)


async def retrieve(request: Request) -> dict[str, Any]:
    return shown(await _invite(request))


async def delete(request: Request) -> dict[str, Any]:
    """Its link is good for nothing from then on. One that was accepted has made a user, who stays."""

    async def change() -> str:
        invite = await _invite(request)
        gone = Event("invite.deleted", invite["id"], None, before=shown(invite))
        await request.commit([Delete(invite)], [gone])
        return str(invite["id"])

    return deleted(KIND, await request.settled(change))


async def _invite(request: Request) -> Item:
    return await request.member(layout.invites(request.admin.organization_id), "invite", "invite_id")


_INVITES = "/organization/invites"
_INVITE = "/organization/invites/{invite_id}"

CALLS = (
    Call("invites.create", "POST", _INVITES, OWNER, create),
    Call("invites.list", "GET", _INVITES, OWNER, list_),
    Call("invites.retrieve", "GET", _INVITE, OWNER, retrieve),
    Call("invites.delete", "DELETE", _INVITE, OWNER, delete),
)
