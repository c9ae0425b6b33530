"""The section of users: people with a role in the organization and in its projects.

Who is none yet is invited, and an open invite counts as the user it will make: a file says who shall be
there, and whether somebody has clicked a link is no part of that.
"""

from typing import Any

from app.admin.document.door import ForbiddenError
from app.admin.document.sections import Row, Rows, Scope, Section, Step
from app.admin.invites import MAX_PROJECTS

INVITE = "invite "
"""Before the id of a row that is an invite."""


class Users(Section):
    """The bootstrap's user, who has no address, is none of them."""

    name = "users"
    path = "/users"
    kept = True
    merged = True

    def rows(self, scope: Scope) -> Rows:
        rows: Rows = {}
        for invite in _invites(scope):
            if invite["status"] == "pending":
                rows[invite["email"]] = _row(scope, invite, invite["projects"], INVITE + invite["id"])
        for user in scope.door.all(scope.path + self.path):
            if user.get("email"):
                projects = (user.get("projects") or {}).get("data", [])
                rows[user["email"]] = _row(scope, user, projects, user["id"])
        return dict(sorted(rows.items()))

    def wanted(self, written: Any) -> dict[str, Any]:
        return {
            user["email"]: {name: value for name, value in user.items() if name != "email"}
            for user in written
        }

    def written(self, rows: Rows) -> Any:
        return [{"email": email, **row.value} for email, row in rows.items()]

    def impossible(self, step: Step) -> str:
        if not (step.after and (step.before is None or step.before.id.startswith(INVITE))):
            return ""
        count = len(step.after.get("projects", {}))
        if count <= MAX_PROJECTS:
            return ""
        return (
            f"projects: an invite is to {MAX_PROJECTS} at most, and these are {count}. Leave some out until "
            "it is accepted."
        )

    def change(self, scope: Scope, steps: list[Step]) -> list[str]:
        ids = {label: project_id for project_id, label in scope.projects.items()}
        told = []
        # Who becomes an owner does so before another one leaves.
        for step in sorted(steps, key=lambda step: (step.after is None, (step.after or {}).get("role"))):
            known = step.before
            if known is not None and known.id.startswith(INVITE):
                scope.door.delete(f"/organization/invites/{known.id.removeprefix(INVITE)}")
                known = None
            elif known is not None and step.after is None:
                scope.door.delete(f"{scope.path}{self.path}/{known.id}")
            if step.after is None:
                continue
            if known is None:
                told.append(_invite(scope, ids, step.key, step.after))
            else:
                _change(scope, ids, known, step.after)
        return told


def _invites(scope: Scope) -> list[dict[str, Any]]:
    """None for a reader, whom the API does not show them."""
    try:
        return list(scope.door.all("/organization/invites"))
    except ForbiddenError:
        return []


def _row(scope: Scope, person: dict[str, Any], projects: list[dict[str, Any]], item_id: str) -> Row:
    roles = {
        scope.projects[project["id"]]: project["role"]
        for project in projects
        if project["id"] in scope.projects
    }
    return Row({"role": person["role"], "projects": dict(sorted(roles.items()))}, item_id)


def _invite(scope: Scope, ids: dict[str, str], email: str, wanted: dict[str, Any]) -> str:
    projects = [{"id": ids[label], "role": role} for label, role in wanted.get("projects", {}).items()]
    invite = scope.door.post(
        "/organization/invites", {"email": email, "role": wanted["role"], "projects": projects}
    )
    link = invite.get("accept_url")
    return f"{email} is invited" + (
        f"; hand on this link, which is shown this one time: {link}" if link else ""
    )


def _change(scope: Scope, ids: dict[str, str], known: Row, wanted: dict[str, Any]) -> None:
    before, after = known.value["projects"], wanted.get("projects", known.value["projects"])
    for label in sorted({*before, *after}):
        users = f"/organization/projects/{ids[label]}/users"
        if label not in after:
            scope.door.delete(f"{users}/{known.id}")
        elif label not in before:
            scope.door.post(users, {"user_id": known.id, "role": after[label]})
        elif before[label] != after[label]:
            scope.door.post(f"{users}/{known.id}", {"role": after[label]})
    # Last, as it may end the right of whoever asks to change the rest.
    if wanted["role"] != known.value["role"]:
        scope.door.post(f"/organization/users/{known.id}", {"role": wanted["role"]})


USERS = Users()
