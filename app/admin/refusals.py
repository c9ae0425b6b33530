"""The refusals that only the Administration API has, in OpenAI's shape; the others are in `app/errors.py`."""

from app.errors import ApiError, invalid_request, no_key, wrong_key


def not_an_admin_key() -> ApiError:
    return invalid_request(
        "A project's API key makes model requests and does not administer. Send an admin key (sk-admin-…).",
        code="insufficient_permissions",
        status=403,
    )


def unknown_admin_key() -> ApiError:
    error = wrong_key()
    error.message = (
        "The admin key is not valid here. Send one that was not deleted and has not expired, of a user who "
        "still is in the organization."
    )
    return error


def no_admin_key() -> ApiError:
    error = no_key()
    error.message = "No admin key was sent. Send one in the header 'Authorization: Bearer sk-admin-…'."
    return error


def owners_only(call: str) -> ApiError:
    return invalid_request(
        f"{call} is for owners of the organization; this admin key is a reader's. Ask an owner.",
        code="insufficient_permissions",
        status=403,
    )


def project_owners_only(call: str) -> ApiError:
    return invalid_request(
        f"{call} is for owners of the project or of the organization; this admin key is a member's. Ask one.",
        code="insufficient_permissions",
        status=403,
    )


def last_owner() -> ApiError:
    return invalid_request(
        "This is the organization's last owner, who stays one. Make somebody else an owner first.",
        param="user_id",
        code="last_owner",
    )


def bootstrap_user() -> ApiError:
    return invalid_request(
        "The bootstrap user stays an owner until a person becomes one. Invite an owner, or delete this user.",
        param="user_id",
        code="bootstrap_user",
    )


def email_taken(param: str | None) -> ApiError:
    return invalid_request(
        "A user of the organization has this e-mail address already. Change that user's role instead.",
        param=param,
        code="email_taken",
    )


def not_offered(call: str, reason: str) -> ApiError:
    """404, which no client asks again by itself; OpenAI's SDK repeats what a 501 answers."""
    return invalid_request(f"{call} is not offered by this gateway. {reason}", code="not_offered", status=404)


def missing(what: str, item_id: str, param: str) -> ApiError:
    return invalid_request(
        f"There is no {what} {item_id[:100]!r} here. Check the id and whose admin key you send.",
        param=param,
        code="not_found",
        status=404,
    )


def archived(project_id: str) -> ApiError:
    return invalid_request(
        f"The project {project_id!r} is archived and cannot be changed. Use another project.",
        param="project_id",
        code="project_archived",
    )


def conflict() -> ApiError:
    """409, which OpenAI's SDK asks again by itself."""
    return ApiError(
        409,
        "Others change the same at this moment, so nothing was changed. Try again.",
        kind="conflict_error",
        code="conflict",
    )


def unavailable() -> ApiError:
    return ApiError(
        503,
        "The organization's records cannot be reached at the moment. Try again shortly.",
        kind="server_error",
        code="records_unavailable",
        headers=((b"retry-after", b"1"),),
    )
