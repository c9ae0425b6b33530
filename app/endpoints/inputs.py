"""What completions take for a prompt and embeddings for an input: a text, tokens, or a list of either."""

from typing import Any

from app.errors import invalid_request
from app.validate import wrong_type, wrong_value

MAX_INPUTS = 2048
MAX_TOKENS = 300_000
"""The most tokens that OpenAI takes in one request for embeddings; a completion's context is smaller."""

_EXPECTED = "a string, an array of strings, an array of tokens or an array of arrays of tokens"


def count_inputs(param: str, value: object) -> int:
    """How many inputs a value holds. Raises ApiError (400)."""
    if isinstance(value, str):
        return 1
    if not isinstance(value, list):
        raise wrong_type(param, value, _EXPECTED)
    if not value:
        raise invalid_request(f"{param} is empty. Send one input or more.", param=param, code="empty_array")
    first = value[0]
    if _is_integer(first):
        _tokens(param, value)
        return 1
    if not isinstance(first, str | list):
        raise wrong_type(f"{param}[0]", first, "a string, a token or an array of tokens")
    if len(value) > MAX_INPUTS:
        raise wrong_value(param, f"must be {MAX_INPUTS} inputs or fewer")
    if isinstance(first, str):
        for index, entry in enumerate(value):
            if not isinstance(entry, str):
                raise wrong_type(f"{param}[{index}]", entry, "a string, as the entries before it")
    else:
        left = MAX_TOKENS
        for index, entry in enumerate(value):
            if not isinstance(entry, list):
                raise wrong_type(f"{param}[{index}]", entry, "an array of tokens, as the entries before it")
            _tokens(f"{param}[{index}]", entry, left)
            left -= len(entry)
    return len(value)


def _tokens(param: str, value: list[Any], most: int = MAX_TOKENS) -> None:
    if not value:
        raise invalid_request(f"{param} is empty. Send one token or more.", param=param, code="empty_array")
    if len(value) > most:
        raise wrong_value(param, f"must bring the tokens of the request to {MAX_TOKENS} or fewer")
    for index, token in enumerate(value):
        if not _is_integer(token):
            raise wrong_type(f"{param}[{index}]", token, "a token, which is an integer")
        if token < 0:
            raise wrong_value(f"{param}[{index}]", "must be a token, which is 0 or more")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
