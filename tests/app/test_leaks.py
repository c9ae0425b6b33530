"""The search that every gateway of these tests ends with finds what it is for."""

import json

import pytest

from tests.app.conftest import OPENAI_KEY, PEPPER
from tests.app.leaks import secrets_in


@pytest.mark.parametrize(
    "secret", [OPENAI_KEY, PEPPER, "sk-gw-" + "x" * 43, "sk-rotated", "first-password", "own-password"]
)
def test_a_secret_is_found_wherever_it_stands(secret: str) -> None:
    for text in (secret, f"Bearer {secret}", json.dumps({"detail": f"<{secret}>"}), f"key={secret}, and"):
        assert secrets_in(text.encode()) == [text.encode()]


def test_what_is_no_secret_is_not_found() -> None:
    line = {
        "event": "request",
        "key_id": "key_0123456789abcdef",
        "redacted": "sk-…abcd",
        "path": "/task-list",
    }
    assert secrets_in(json.dumps(line, ensure_ascii=False).encode()) == []
