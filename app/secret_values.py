"""What the values of the rotating secrets mean: deployments with their keys, and the cache's user.

The texts of errors say what a value must be and hold none of it.
"""

import re
from dataclasses import dataclass, field

import orjson

from app.settings import upstream_url

MAX_DEPLOYMENTS = 100
ONLY = "openai"
"""The name of the deployment of a secret that is one key."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FIELDS = {"key", "base_url", "weight", "name"}


class BadSecretError(ValueError):
    """A secret's value is not what it must be; the text says what it must be and holds none of it."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One way to an OpenAI-compatible API.

    name: what logs call it. base_url: None for the gateway's own setting. weight: its share of the requests,
    against the other weights.
    """

    name: str
    key: str = field(repr=False)
    base_url: str | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class CacheUser:
    """The user that the gateway is at the cache."""

    username: str
    password: str = field(repr=False)


def parse_deployments(text: str) -> tuple[Deployment, ...]:
    """From one API key, or from a JSON list of {"key", "base_url"?, "weight"?, "name"?}.

    The line end that copying brings along is dropped. Raises BadSecretError.
    """
    text = text.strip()
    if not text:
        raise BadSecretError("it has no value yet")
    if not text.startswith("["):
        if not _is_key(text):
            raise BadSecretError("its value is not an API key: one line of printable ASCII without spaces")
        return (Deployment(ONLY, text),)
    try:
        entries = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadSecretError("its value begins like a list and is not JSON") from None
    if not 1 <= len(entries) <= MAX_DEPLOYMENTS:
        raise BadSecretError(f"its list does not hold 1 to {MAX_DEPLOYMENTS} deployments")
    deployments = tuple(_deployment(position, entry) for position, entry in enumerate(entries, start=1))
    if len({deployment.name for deployment in deployments}) < len(deployments):
        raise BadSecretError("two deployments of its list have the same name")
    return deployments


def _deployment(position: int, entry: object) -> Deployment:
    where = f"deployment {position} of its list"
    if not isinstance(entry, dict) or not entry.keys() <= _FIELDS:
        raise BadSecretError(f"{where} is not an object with key and, as you like, base_url, weight and name")
    key, base_url, weight = entry.get("key"), entry.get("base_url"), entry.get("weight", 1)
    name = entry.get("name", str(position))
    if not isinstance(key, str) or not _is_key(key):
        raise BadSecretError(f"{where} has no key: one line of printable ASCII without spaces")
    if type(weight) is not int or not 1 <= weight <= 1_000_000:
        raise BadSecretError(f"{where} has a weight that is not a whole number from 1 to 1000000")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadSecretError(f"{where} has a name that is not 1 to 64 letters, digits, dots, - or _")
    if base_url is not None:
        if not isinstance(base_url, str):
            raise BadSecretError(f"{where} has a base_url that is not a text")
        try:
            base_url = upstream_url(base_url)
        except ValueError as wrong:
            raise BadSecretError(f"{where} has a base_url that {wrong}") from None
    return Deployment(name, key, base_url, weight)


def _is_key(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def parse_cache_user(text: str) -> CacheUser:
    """From {"username": …, "password": …}. Raises BadSecretError."""
    if not text:
        raise BadSecretError("it has no value yet")
    try:
        user = orjson.loads(text)
        username, password = user["username"], user["password"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadSecretError('its value is not JSON like {"username": …, "password": …}') from None
    if not isinstance(username, str) or not isinstance(password, str) or not username or not password:
        raise BadSecretError("its username or password is not a text")
    return CacheUser(username, password)
