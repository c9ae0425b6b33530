"""The page behind an invite's link. Looking at it changes nothing, so mail scanners do not use the link up.

Plain HTML that loads nothing from anywhere, is kept by no cache and tells no other site where it was. The
link's fragment is the token, which a short script posts as if it had been pasted into the page's form;
without scripts, a person pastes it.
"""

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from urllib.parse import parse_qsl

from starlette.types import Scope

from app.admin import refusals
from app.admin.acceptance import Acceptance, VoidInviteError
from app.admin.administration import actor
from app.admin.layout import Item
from app.admin.notices import Notices
from app.admin.store import Store
from app.errors import ApiError, Header
from app.exchange import Exchange
from app.table import TableUnavailableError

MAX_FORM_BYTES = 4096
MAX_NAME_CHARACTERS = 200

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}"
    "input,button{font:inherit;padding:.5rem}"
    "input{display:block;width:100%;box-sizing:border-box;margin:.25rem 0 1rem}"
    "code{overflow-wrap:anywhere}"
)
_SCRIPT = (
    "const use=()=>{const form=document.forms[0],token=location.hash.slice(1);if(token){history.replaceState("
    'null,"",location.pathname);form.elements.invite.value=token;form.submit()}};'
    'addEventListener("hashchange",use);use()'
)


def _source(text: str) -> str:
    """What a content security policy calls an inline text that it lets through."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'".encode(),
    ),
)

_VOID = {
    "unknown": (404, "There is no such invite. It may have been withdrawn, or the link was cut off."),
    "accepted": (410, "This invite has been accepted; its link works once."),
    "expired": (410, "This invite has expired."),
}
_ASK_AGAIN = "Ask an owner of the organization for another invite."


class InvitePage:
    """Answers `invites.PATH`: the form for the link, then that for the name, then the key."""

    def __init__(self, store: Store, pepper: str, notices: Notices) -> None:
        self._acceptance = Acceptance(store, pepper, notices)

    async def handle(self, exchange: Exchange, scope: Scope) -> None:
        """Raises ClientGoneError."""
        status, page = await self._answer(exchange, scope)
        await exchange.answer(status, page.encode(), HEADERS)

    async def _answer(self, exchange: Exchange, scope: Scope) -> tuple[int, str]:
        try:
            match exchange.record.method:
                case "GET" | "HEAD":
                    return 200, _entrance()
                case "POST":
                    form = _fields(await exchange.read_body(MAX_FORM_BYTES))
                    token = form.get("invite", "").strip().rpartition("#")[2]
                    # Before the name, whose faults are no business of those without an invite.
                    invite = await self._acceptance.pending(token)
                    if "name" not in form:
                        return 200, _asking(invite, token)
                    name = form["name"].strip()
                    if not (name and name.isprintable() and len(name) <= MAX_NAME_CHARACTERS):
                        fault = f"Enter a name of at most {MAX_NAME_CHARACTERS} letters."
                        return 400, _asking(invite, token, fault)
                    made = await self._acceptance.accept(token, name, actor(exchange, scope))
                    exchange.record.organization_id = made.user["organization_id"]
                    return 200, _accepted(made.user, made.key)
                case _:
                    return 405, _refused("This page can be looked at and its form be sent, nothing else.")
        except VoidInviteError as void:
            exchange.record.error = f"invite_{void.reason}"
            status, text = _VOID[void.reason]
            return status, _refused(f"{text} {_ASK_AGAIN}")
        except ApiError as refusal:
            exchange.record.error = refusal.code or refusal.kind
            return refusal.status, _refused(refusal.message)
        except TableUnavailableError:
            error = refusals.unavailable()
            exchange.record.error = error.code
            return error.status, _refused(error.message)


def _fields(form: bytes) -> dict[str, str]:
    """None when it is no form."""
    try:
        return dict(parse_qsl(form.decode(), keep_blank_values=True, max_num_fields=10))
    except ValueError:
        return {}


def _entrance() -> str:
    return _page(
        "Open your invite",
        "<p>Paste the link that you were given, as a whole.</p>"
        '<form method="post"><label for="invite">Your invite\'s link</label>'
        '<input id="invite" name="invite" autocomplete="off" spellcheck="false" required>'
        f'<button type="submit">Open the invite</button></form><script>{_SCRIPT}</script>',
    )


def _asking(invite: Item, token: str, fault: str = "") -> str:
    until = datetime.fromtimestamp(invite["valid_until"], UTC)
    wrong = ' aria-invalid="true" aria-describedby="fault"' if fault else ""
    return _page(
        "Accept the invite",
        f"<p>{escape(invite['email'])} is invited to the organization "
        f"<strong>{escape(invite['organization_id'])}</strong> as <strong>{invite['role']}</strong>"
        f"{_projects(invite)}. The invite is good once, until "
        f'<time datetime="{until:%Y-%m-%dT%H:%MZ}">{until:%Y-%m-%d %H:%M} UTC</time>.</p>'
        "<p>Accepting shows your admin key, this one time. Have a place ready to keep it, such as a password "
        "manager.</p>"
        + (f'<p id="fault" role="alert">{escape(fault)}</p>' if fault else "")
        + f'<form method="post"><input type="hidden" name="invite" value="{escape(token)}">'
        '<label for="name">Your name</label>'
        f'<input id="name" name="name" autocomplete="name" required maxlength="{MAX_NAME_CHARACTERS}"{wrong}>'
        '<button type="submit">Accept and show my admin key</button></form>',
    )


def _projects(invite: Item) -> str:
    places = [f"{project['role']} of {escape(project['id'])}" for project in invite["projects"]]
    return f", and {', '.join(places)}" if places else ""


def _accepted(user: Item, key: str) -> str:
    return _page(
        "Welcome",
        f"<p>{escape(user['name'])}, you are {user['role']} of "
        f"<strong>{escape(user['organization_id'])}</strong> now. This is your admin key. It is not shown "
        "again:</p>"
        f"<p><code>{escape(key)}</code></p>"
        "<p>Give it to OpenAI's client as <code>admin_api_key</code>, or in the variable "
        "<code>OPENAI_ADMIN_KEY</code>. If it is lost, an owner deletes your user and invites you again.</p>",
    )


def _refused(text: str) -> str:
    return _page("This does not work", f'<p role="alert">{escape(text)}</p>')


def _page(title: str, content: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{content}</main></body></html>\n"
    )
