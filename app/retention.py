"""What is kept of a request's content, as its project or else its organization has chosen.

The attribute `data_retention` of their items; the types are OpenAI's. The gateway writes no content into its
logs and records, whatever is chosen, which is `modified_abuse_monitoring`. With `zero_data_retention` it
keeps no answers in its cache either and gives none that it has kept, and asks the upstream to store nothing;
what was kept before it was chosen stays in Valkey until its time is over. What OpenAI keeps for its own
monitoring of abuse is a matter of the agreement with OpenAI.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.endpoints import RESPONSES, ApiRequest
from app.errors import invalid_request

ATTRIBUTE = "data_retention"
ORGANIZATION_DEFAULT = "organization_default"
MODIFIED_ABUSE_MONITORING = "modified_abuse_monitoring"
ZERO_DATA_RETENTION = "zero_data_retention"


def keeps_nothing(
    project_item: Mapping[str, Mapping[str, Any]], organization_item: Mapping[str, Mapping[str, Any]] | None
) -> bool:
    """Whether zero_data_retention holds for a project, by the items of the table."""
    chosen = project_item.get(ATTRIBUTE, {}).get("S", ORGANIZATION_DEFAULT)
    if chosen == ORGANIZATION_DEFAULT:
        chosen = (organization_item or {}).get(ATTRIBUTE, {}).get("S", MODIFIED_ABUSE_MONITORING)
    # Anything but the one word that lets content be kept keeps none.
    return bool(chosen != MODIFIED_ABUSE_MONITORING)


def unstored(request: ApiRequest) -> ApiRequest:
    """The request with which the upstream stores nothing. Raises ApiError (400) when it asks for more."""
    by_default = request.endpoint is RESPONSES
    if "store" not in request.fields and by_default:
        body = request.body.rstrip()[:-1] + b',"store":false}'
        return replace(request, body=body, fields={**request.fields, "store": False})
    if request.fields.get("store", False) or (by_default and request.fields["store"] is None):
        raise invalid_request(
            "zero_data_retention holds for this project, so nothing is stored. Set store to false or leave "
            "it out.",
            param="store",
            code="zero_data_retention",
        )
    return request
