"""CloudWatch Logs: moto knows no saved queries."""

import itertools
import json
from typing import Any

from moto.logs.responses import LogsResponse as Response

from local.aws.repairs.patch import patch

_saved: dict[str, dict[str, Any]] = {}
_numbers = itertools.count(1)


def repair() -> None:
    def put_query_definition(self: Any) -> str:
        definition_id = (
            self._get_param("queryDefinitionId") or f"{next(_numbers):08}-0000-0000-0000-000000000000"
        )
        _saved[definition_id] = {
            "queryDefinitionId": definition_id,
            "name": self._get_param("name"),
            "queryString": self._get_param("queryString"),
            "logGroupNames": self._get_param("logGroupNames") or [],
        }
        return json.dumps({"queryDefinitionId": definition_id})

    def describe_query_definitions(self: Any) -> str:
        prefix = self._get_param("queryDefinitionNamePrefix") or ""
        found = [saved for saved in _saved.values() if saved["name"].startswith(prefix)]
        return json.dumps({"queryDefinitions": found})

    def delete_query_definition(self: Any) -> str:
        gone = _saved.pop(self._get_param("queryDefinitionId"), None)
        return json.dumps({"success": gone is not None})

    patch(
        Response,
        put_query_definition=put_query_definition,
        describe_query_definitions=describe_query_definitions,
        delete_query_definition=delete_query_definition,
    )
