"""ElastiCache: moto knows neither parameter groups nor user groups."""

from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.elasticache.responses import ElastiCacheResponse as Response

from local.aws.repairs.patch import patch


class GroupNotFoundError(ServiceException):
    """A group that does not exist, under the error code of its kind."""


class Store:
    """The groups of one kind, per account and region."""

    def __init__(self, kind: str, key: str, error_code: str) -> None:
        self.kind, self.key, self.error_code = kind, key, error_code

    def all(self, response: Any) -> dict[str, dict[str, Any]]:
        groups: dict[str, dict[str, Any]] = vars(response.elasticache_backend).setdefault(
            f"local_{self.kind}", {}
        )
        return groups

    def add(self, response: Any, group: dict[str, Any]) -> dict[str, Any]:
        name = group[self.key]
        where = f"{response.region}:{response.current_account}"
        group["ARN"] = f"arn:aws:elasticache:{where}:{self.kind}:{name}"
        tags = response._get_param("Tags", [])
        response.elasticache_backend.tagging_service.tag_resource(group["ARN"], tags)
        self.all(response)[name] = group
        return group

    def asked(self, response: Any) -> dict[str, Any]:
        """The group that the request names."""
        name = response._get_param(self.key)
        if name not in self.all(response):
            raise GroupNotFoundError(self.error_code, f"{name} not found.")
        return self.all(response)[name]

    def listed(self, response: Any) -> list[dict[str, Any]]:
        """The group that the request names, or all."""
        return [self.asked(response)] if response._get_param(self.key) else list(self.all(response).values())


PARAMETER_GROUPS = Store("parametergroup", "CacheParameterGroupName", "CacheParameterGroupNotFound")
USER_GROUPS = Store("usergroup", "UserGroupId", "UserGroupNotFound")


def repair() -> None:
    _repair_parameter_groups()
    _repair_user_groups()


def _repair_parameter_groups() -> None:
    store = PARAMETER_GROUPS

    def create(self: Any) -> Any:
        group = {
            "CacheParameterGroupName": self._get_param("CacheParameterGroupName"),
            "CacheParameterGroupFamily": self._get_param("CacheParameterGroupFamily"),
            "Description": self._get_param("Description"),
            "IsGlobal": False,
            "values": {},
        }
        return ActionResult({"CacheParameterGroup": store.add(self, group)})

    def modify(self: Any) -> Any:
        group = store.asked(self)
        for parameter in self._get_param("ParameterNameValues", []):
            group["values"][parameter["ParameterName"]] = parameter.get("ParameterValue")
        return ActionResult({"CacheParameterGroupName": group["CacheParameterGroupName"]})

    def describe(self: Any) -> Any:
        return ActionResult({"CacheParameterGroups": store.listed(self)})

    def describe_parameters(self: Any) -> Any:
        values = store.asked(self)["values"].items()
        told = [
            {"ParameterName": name, "ParameterValue": value, "Source": "user", "IsModifiable": True}
            for name, value in values
        ]
        return ActionResult({"Parameters": told})

    def delete(self: Any) -> Any:
        store.all(self).pop(store.asked(self)["CacheParameterGroupName"])
        return EmptyResult()

    patch(
        Response,
        create_cache_parameter_group=create,
        modify_cache_parameter_group=modify,
        describe_cache_parameter_groups=describe,
        describe_cache_parameters=describe_parameters,
        delete_cache_parameter_group=delete,
    )


def _repair_user_groups() -> None:
    store = USER_GROUPS

    def create(self: Any) -> Any:
        group = {
            "UserGroupId": self._get_param("UserGroupId"),
            "Engine": self._get_param("Engine"),
            "UserIds": self._get_param("UserIds", []),
            "Status": "active",
            "MinimumEngineVersion": "6.0",
            "ReplicationGroups": [],
        }
        return ActionResult(store.add(self, group))

    def modify(self: Any) -> Any:
        group = store.asked(self)
        leaving = self._get_param("UserIdsToRemove", [])
        group["UserIds"] = [user for user in group["UserIds"] if user not in leaving]
        group["UserIds"] += self._get_param("UserIdsToAdd", [])
        return ActionResult(group)

    def describe(self: Any) -> Any:
        return ActionResult({"UserGroups": store.listed(self)})

    def delete(self: Any) -> Any:
        group = store.all(self).pop(store.asked(self)["UserGroupId"])
        return ActionResult({**group, "Status": "deleting"})

    patch(
        Response,
        create_user_group=create,
        modify_user_group=modify,
        describe_user_groups=describe,
        delete_user_group=delete,
    )
