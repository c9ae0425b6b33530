"""Answers and token counts: the same input always gives the same, another input another."""

import hashlib
import json
import re
from typing import Any

# Roughly what a byte-pair encoding does to English: short words whole, long ones in parts, punctuation alone.
_TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]|\s+")

_OPENINGS = ("Certainly.", "Here is what I found.", "Good question.", "Let me see.", "In short:")
_SUBJECTS = ("the gateway", "a cache", "the balancer", "a token", "the stack", "a replica")
_VERBS = ("answers", "forwards", "counts", "remembers", "balances", "measures")
_OBJECTS = ("every request", "each stream", "the same question", "a new key", "its limits", "the traffic")


def tokens(text: str) -> list[str]:
    """The text in pieces that join to the text again."""
    return _TOKEN.findall(text)


def texts_of(messages: list[dict[str, Any]]) -> list[str]:
    """The text of every message, content parts joined."""
    texts = []
    for message in messages:
        content = message.get("content") or ""
        if isinstance(content, list):
            content = " ".join(str(part.get("text", "")) for part in content)
        texts.append(str(content))
    return texts


def prompt_tokens(messages: list[dict[str, Any]]) -> int:
    """Three tokens a message and three for the answer's beginning, as OpenAI's chat format has them."""
    return 3 + sum(3 + len(tokens(text)) for text in texts_of(messages))


def answer(model: str, messages: list[dict[str, Any]], choice: int) -> str:
    """A few sentences chosen by what was asked."""
    asked = json.dumps([model, messages, choice], sort_keys=True).encode()
    digest = hashlib.sha256(asked).digest()
    last = texts_of(messages)[-1] if messages else ""
    sentences = [f"{_OPENINGS[digest[0] % len(_OPENINGS)]} You asked: {last[:200]}"]
    for index in range(1, 2 + digest[1] % 3):
        subject = _SUBJECTS[digest[3 * index] % len(_SUBJECTS)]
        verb = _VERBS[digest[3 * index + 1] % len(_VERBS)]
        sentences.append(f"{subject.capitalize()} {verb} {_OBJECTS[digest[3 * index + 2] % len(_OBJECTS)]}.")
    return " ".join(sentences)


def json_answer(model: str, messages: list[dict[str, Any]], choice: int) -> str:
    """The same as a JSON object, for response_format."""
    return json.dumps({"answer": answer(model, messages, choice)})
