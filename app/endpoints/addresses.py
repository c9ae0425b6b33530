"""Parts of a content that are given by their address: what is there tomorrow may be another thing.

The kinds of parts are those of chat completions and of responses. What is given by the id of a file is not
meant: a file never changes.
"""

from typing import Any

_INLINE = "data:"


def has_address(content: Any) -> bool:
    """Whether the upstream fetches a part of the content from somewhere."""
    parts = [content] if isinstance(content, dict) else content
    return isinstance(parts, list) and any(_is_fetched(part) for part in parts)


def _is_fetched(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if isinstance(url, str) and url[: len(_INLINE)].lower() != _INLINE:
        return True
    return part.get("file_url") is not None
