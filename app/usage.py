"""An answer's tokens as the upstream counted them."""

from dataclasses import dataclass
from typing import TypeGuard


@dataclass(slots=True)
class Usage:
    """Tokens of one answer.

    prompt_tokens holds cached_tokens (read from the upstream's prompt cache), cache_write_tokens and
    audio_prompt_tokens; completion_tokens holds reasoning_tokens and audio_completion_tokens. estimated: the
    upstream gave no figures.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    audio_prompt_tokens: int = 0
    audio_completion_tokens: int = 0
    estimated: bool = False


def parse_usage(usage: object) -> Usage | None:
    """The `usage` object of any endpoint, or None when it is not one.

    Chat completions, completions and embeddings say prompt_tokens and completion_tokens (embeddings only the
    former), responses say input_tokens and output_tokens.
    """
    if not isinstance(usage, dict):
        return None
    if "input_tokens" in usage:
        prompt, completion = usage.get("input_tokens"), usage.get("output_tokens")
        prompt_details, completion_details = "input_tokens_details", "output_tokens_details"
    else:
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if completion is None and usage.get("total_tokens") == prompt:
            completion = 0
        prompt_details, completion_details = "prompt_tokens_details", "completion_tokens_details"
    if not _is_count(prompt) or not _is_count(completion):
        return None
    total = usage.get("total_tokens")
    if not _is_count(total):
        total = prompt + completion
    read, written = usage.get(prompt_details), usage.get(completion_details)
    if read is None and written is None:
        return Usage(prompt, completion, total)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        cached_tokens=_detail(read, "cached_tokens"),
        reasoning_tokens=_detail(written, "reasoning_tokens"),
        cache_write_tokens=_detail(read, "cache_write_tokens"),
        audio_prompt_tokens=_detail(read, "audio_tokens"),
        audio_completion_tokens=_detail(written, "audio_tokens"),
    )


def _detail(details: object, name: str) -> int:
    count = details.get(name) if isinstance(details, dict) else None
    return count if _is_count(count) else 0


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0
