"""What is kept of requests' content, for the organization or a project; `app/retention.py` holds it.

A type that could only be claimed is refused with the reason.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from app.admin.call import Call, Request
from app.admin.holders import changed, holder
from app.admin.items import OWNER, READER
from app.admin.layout import Item
from app.admin.parameters import Parameters
from app.retention import ATTRIBUTE, MODIFIED_ABUSE_MONITORING, ORGANIZATION_DEFAULT

_REASONS = {
    "none": "this gateway keeps no content for the monitoring of abuse, so there is nothing to go back to; "
    "use modified_abuse_monitoring",
    "enhanced_zero_data_retention": "the enhanced types are an agreement with OpenAI, to be set there; use "
    "zero_data_retention for what this gateway keeps",
    "enhanced_modified_abuse_monitoring": "the enhanced types are an agreement with OpenAI, to be set there; "
    "use modified_abuse_monitoring for what this gateway keeps",
}


def _kept_here(value: str) -> str:
    if value in _REASONS:
        raise ValueError(_REASONS[value])
    return value


class UpdateOrganization(Parameters):
    retention_type: Annotated[
        Literal[
            "zero_data_retention",
            "modified_abuse_monitoring",
            "enhanced_zero_data_retention",
            "enhanced_modified_abuse_monitoring",
        ],
        AfterValidator(_kept_here),
    ]


class UpdateProject(Parameters):
    retention_type: Annotated[
        Literal[
            "organization_default",
            "none",
            "zero_data_retention",
            "modified_abuse_monitoring",
            "enhanced_zero_data_retention",
            "enhanced_modified_abuse_monitoring",
        ],
        AfterValidator(_kept_here),
    ]


def shown(kind: str, item: Item) -> dict[str, Any]:
    """As OpenAI's `OrganizationDataRetention` and `ProjectDataRetention`."""
    default = ORGANIZATION_DEFAULT if kind == "project" else MODIFIED_ABUSE_MONITORING
    return {"object": f"{kind}.data_retention", "type": item.get(ATTRIBUTE, default)}


async def retrieve(request: Request) -> dict[str, Any]:
    found = await holder(request)
    return shown(found.kind, found.item)


async def update_organization(request: Request, body: UpdateOrganization) -> dict[str, Any]:
    return await _update(request, body.retention_type)


async def update_project(request: Request, body: UpdateProject) -> dict[str, Any]:
    return await _update(request, body.retention_type)


async def _update(request: Request, chosen: str) -> dict[str, Any]:
    kind = "project" if "project_id" in request.ids else "organization"
    after = await changed(
        request,
        lambda item: {**item, ATTRIBUTE: chosen},
        lambda item: {ATTRIBUTE: shown(kind, item)["type"]},
    )
    return shown(kind, after.item)


_ORGANIZATION = "/organization/data_retention"
_PROJECT = "/organization/projects/{project_id}/data_retention"

CALLS = (
    Call("data_retention.retrieve", "GET", _ORGANIZATION, READER, retrieve),
    Call("data_retention.update", "POST", _ORGANIZATION, OWNER, update_organization),
    Call("projects.data_retention.retrieve", "GET", _PROJECT, READER, retrieve),
    Call("projects.data_retention.update", "POST", _PROJECT, OWNER, update_project),
)
