"""Budgets: moto keeps who is told of a budget and lets nobody read it; it drops the tags."""

import json
from typing import Any

from moto.budgets.exceptions import NotFoundException
from moto.budgets.responses import BudgetsResponse as Response

from local.aws.repairs.patch import patch


def repair() -> None:
    create = Response.create_budget

    def create_budget(self: Any) -> str:
        answer = create(self)
        name = self._get_param("Budget")["BudgetName"]
        arn = f"arn:{self.partition}:budgets::{self._get_param('AccountId')}:budget/{name}"
        _tags(self)[arn] = self._get_param("ResourceTags", [])
        return answer

    def describe_subscribers_for_notification(self: Any) -> str:
        budgets = self.backend.budgets[self._get_param("AccountId")]
        asked = self._get_param("Notification")
        budget = budgets.get(self._get_param("BudgetName"))
        for notification in budget.notifications if budget else ():
            if all(notification.details.get(key) == value for key, value in asked.items()):
                return json.dumps({"Subscribers": notification.subscribers})
        raise NotFoundException("The notification doesn't exist.")

    def list_tags_for_resource(self: Any) -> str:
        return json.dumps({"ResourceTags": _tags(self).get(self._get_param("ResourceARN"), [])})

    patch(
        Response,
        create_budget=create_budget,
        describe_subscribers_for_notification=describe_subscribers_for_notification,
        list_tags_for_resource=list_tags_for_resource,
    )


def _tags(response: Any) -> dict[str, list[dict[str, str]]]:
    """ARN -> tags, kept with the account's budgets so that a reset forgets both."""
    tags: dict[str, list[dict[str, str]]] = vars(response.backend).setdefault("local_tags", {})
    return tags
