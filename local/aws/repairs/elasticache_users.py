"""ElastiCache: moto cannot modify a user, and a user's password is of no use to anyone.

Passwords are told to the runtime, hashed, so that the local Valkey asks for the one that is deployed.
"""

import hashlib
from typing import Any

from moto.core.responses import ActionResult
from moto.elasticache.exceptions import PasswordTooShort
from moto.elasticache.models import ElastiCacheBackend
from moto.elasticache.responses import ElastiCacheResponse as Response

from local.aws import exchange
from local.aws.repairs.patch import patch

SHORTEST_PASSWORD, LONGEST_PASSWORD, MOST_PASSWORDS = 16, 128, 2


def repair() -> None:
    create, delete = ElastiCacheBackend.create_user, ElastiCacheBackend.delete_user

    def create_user(self: Any, **parameters: Any) -> Any:
        _check(parameters.get("passwords") or [])
        user = create(self, **parameters)
        _tell_hashes(self)
        return user

    def delete_user(self: Any, user_id: str) -> Any:
        user = delete(self, user_id)
        _tell_hashes(self)
        return user

    def modify_user(self: Any) -> Any:
        user = self.elasticache_backend.describe_users(user_id=self._get_param("UserId"))[0]
        mode = self._get_param("AuthenticationMode") or {}
        passwords = self._get_param("Passwords") or mode.get("Passwords") or []
        _check(passwords)
        if passwords:
            user.passwords, user.authentication_type, user.no_password_required = passwords, "password", False
        if access_string := self._get_param("AccessString"):
            user.access_string = access_string
        if appended := self._get_param("AppendAccessString"):
            user.access_string += f" {appended}"
        _tell_hashes(self.elasticache_backend)
        return ActionResult(user)

    patch(ElastiCacheBackend, create_user=create_user, delete_user=delete_user)
    patch(Response, modify_user=modify_user)


def _check(passwords: list[str]) -> None:
    if len(passwords) > MOST_PASSWORDS:
        raise PasswordTooShort(f"A user has at most {MOST_PASSWORDS} passwords.")
    if not all(SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD for password in passwords):
        raise PasswordTooShort()


def _tell_hashes(backend: Any) -> None:
    exchange.write_password_hashes(
        {
            user.id: [hashlib.sha256(password.encode()).hexdigest() for password in user.passwords]
            for user in backend.users.values()
            if user.status == "active"
        }
    )
