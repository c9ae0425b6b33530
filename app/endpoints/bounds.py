"""How many tokens a prompt can have at most, without its model's tokenizer.

Every token of a byte-pair encoding stands for one byte or more, and JSON spells no text in fewer bytes than
UTF-8 does; so the bytes of a body bound the tokens of its texts. Images come on top with a constant each, and
what is written of them in the body is taken off. Audio has fewer tokens (ten a second) than bytes in any
codec, so its bytes stand.
"""

from typing import Any

REQUEST_TOKENS = 64
MESSAGE_TOKENS = 16
TOOLS_TOKENS = 512
"""What the upstream writes around a request, each message, and the list of tools."""

IMAGE_TOKENS = 50_000
"""Above the dearest: gpt-4o-mini counts 2,833 and 5,667 for each of at most 8 tiles, which is 48,169."""


def text_bound_tokens(body: bytes, messages: int, *, with_tools: bool = False) -> int:
    """For a body without images and without reference to texts elsewhere."""
    return len(body) + REQUEST_TOKENS + MESSAGE_TOKENS * messages + (TOOLS_TOKENS if with_tools else 0)


def image_tokens(url: Any) -> int:
    """What to add to the bound for an image: its constant, less the bytes that its URL has in the body."""
    return IMAGE_TOKENS - (len(url) if isinstance(url, str) else 0)


def parts_tokens(parts: Any) -> int | None:
    """What to add to the bound for the parts of a content; None when one holds more text than the body shows.

    The kinds of parts are those of chat completions and of responses.
    """
    added = 0
    for part in parts if isinstance(parts, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "image_url":
            image = part.get("image_url")
            added += image_tokens(image.get("url") if isinstance(image, dict) else image)
        elif kind in ("input_image", "computer_screenshot"):
            added += image_tokens(part.get("image_url"))
        elif kind in ("file", "input_file"):
            return None
    return added
