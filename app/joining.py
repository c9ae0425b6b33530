"""Requests that may be joined into one, and its answer taken apart again: pure functions.

Joined is only what cannot change an answer by being joined, and whose tokens can be told apart again. What
joins has every parameter in common, the caller's `user` included. The upstream tells the tokens of a joined
request as one sum; each caller's share of it is counted with the tokenizer of the models that take these
requests (cl100k_base, whose vocabulary the package brings along). The shares always add up to the sum: should
the counts not, it is shared in proportion to them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import toktok

from app.endpoints import COMPLETIONS, EMBEDDINGS

MAX_PART_BYTES = 16 * 1024
"""A larger request is left as it is: it is batch enough, and taking its answer apart would hold up others."""

MAX_JOINED_BYTES = 128 * 1024
"""No more tokens than that, which is below the 300,000 that OpenAI takes in one request."""

ENCODING = "cl100k_base"

_INPUTS = {COMPLETIONS.path: "prompt", EMBEDDINGS.path: "input"}
JOINED_PATHS = frozenset(_INPUTS)
_OUTPUTS = {COMPLETIONS.path: "choices", EMBEDDINGS.path: "data"}
# Each makes an answer depend on more than its prompt, or its tokens untellable: a stream tells one usage, a
# seed repeats a request as a whole, echo and logprobs count positions in the prompt. What best_of tries
# beyond n is charged and not shown.
_ALONE = frozenset(("stream", "seed", "echo", "logprobs", "suffix"))
# Read and written again, such a number may have become another one.
_LONG_NUMBER = re.compile(rb"[0-9.]{16}")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


Shape = tuple[str, bytes, str | None]
"""What requests that are joined have in common: the path, the parameters, the OpenAI-Beta header."""


@dataclass(frozen=True, slots=True)
class Part:
    """A caller's request that may be joined with others of its shape."""

    shape: Shape
    path: str
    body: bytes
    fields: Mapping[str, Any]
    inputs: list[Any]

    @property
    def beta(self) -> str | None:
        return self.shape[2]

    @property
    def answers(self) -> int:
        """How many choices or embeddings answer it."""
        return len(self.inputs) * int(self.fields.get("n") or 1)


def part_of(
    path: str, body: bytes, fields: Mapping[str, Any] | None = None, beta: str | None = None
) -> Part | None:
    """The request, when it may be joined. fields: the body, when it was parsed already."""
    name = _INPUTS.get(path)
    if name is None or len(body) > MAX_PART_BYTES:
        return None
    if fields is None:
        fields = orjson.loads(body)
    if any(fields[field] is not None and fields[field] is not False for field in _ALONE & fields.keys()):
        return None
    if int(fields.get("best_of") or 1) > int(fields.get("n") or 1):
        return None
    inputs = _inputs(fields.get(name))
    if not inputs:
        return None
    parameters = {**fields, name: type(inputs[0]).__name__}
    try:
        spelled = orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # It reads deeper than it writes.
        return None
    if _has_long_number(spelled):
        return None
    return Part((path, spelled, beta), path, body, fields, inputs)


def joined_body(parts: Sequence[Part]) -> bytes:
    """One request for all inputs, in the parts' order."""
    first = parts[0]
    inputs = [one for part in parts for one in part.inputs]
    return orjson.dumps({**first.fields, _INPUTS[first.path]: inputs})


def take_apart(parts: Sequence[Part], answer: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Each part's own answer, None when this is no answer to all of them."""
    name = _OUTPUTS[parts[0].path]
    outputs = _in_order(answer.get(name), sum(part.answers for part in parts))
    if outputs is None:
        return None
    taken: list[dict[str, Any]] = []
    for number, part in enumerate(parts):
        own = outputs[: part.answers]
        del outputs[: part.answers]
        apart = {**answer, name: [{**output, "index": index} for index, output in enumerate(own)]}
        if isinstance(identifier := answer.get("id"), str):
            # A caller may go by it, and two callers may be one program.
            apart["id"] = f"{identifier}-{number}"
        taken.append(apart)
    usage = answer.get("usage")
    if isinstance(usage, dict):
        for apart, share in zip(taken, _usages(parts, taken, usage), strict=True):
            apart["usage"] = share
    return taken


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """The total in whole numbers that add up to it, in proportion; the weights themselves when they do.

    What rounding leaves goes to the largest remainders, the first ones first.
    """
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    found = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(total * weights[index] % whole))
    for index in by_remainder[: total - sum(found)]:
        found[index] += 1
    return found


def _has_long_number(spelled: bytes) -> bool:
    # Not one that is part of a text.
    return bool(_LONG_NUMBER.search(spelled) and _LONG_NUMBER.search(_STRING.sub(b'""', spelled)))


def _inputs(value: object) -> list[Any]:
    """The texts or the lists of tokens of a field that was checked; empty texts are the upstream's matter."""
    if not isinstance(value, list) or (value and isinstance(value[0], int)):
        value = [value]
    return value if all(value) else []


def _in_order(outputs: object, expected: int) -> list[dict[str, Any]] | None:
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        return None
    by_index = {output.get("index"): output for output in outputs}
    if len(outputs) != expected or set(by_index) != set(range(expected)):
        return None
    return [by_index[index] for index in range(expected)]


def _usages(
    parts: Sequence[Part], answers: Sequence[Mapping[str, Any]], usage: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Each part's share of the upstream's figures, details included, which add up to them."""
    asked = [_count(part.inputs) for part in parts]
    written = [_written(part, answer) for part, answer in zip(parts, answers, strict=True)]
    prompts = _divided(usage.get("prompt_tokens"), asked)
    completions = _divided(usage.get("completion_tokens"), written)
    divided: dict[str, list[Any]] = {}
    for name, value in usage.items():
        if name == "total_tokens" and _is_the_sum(usage):
            divided[name] = [sum(pair) for pair in zip(_counts(prompts), _counts(completions), strict=True)]
        elif name.startswith("completion"):
            divided[name] = _divided(value, written if name == "completion_tokens" else _counts(completions))
        else:
            divided[name] = _divided(value, asked if name == "prompt_tokens" else _counts(prompts))
    return [{name: values[index] for name, values in divided.items()} for index in range(len(parts))]


def _is_the_sum(usage: Mapping[str, Any]) -> bool:
    figures = [usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    return all(type(figure) is int for figure in figures) and figures[0] + figures[1] == figures[2]


def _counts(values: Sequence[Any]) -> list[int]:
    return [value if type(value) is int else 0 for value in values]


def _divided(value: Any, weights: Sequence[int]) -> list[Any]:
    """Counts are shared, in objects as well; whatever else there is holds for all."""
    if type(value) is int and value >= 0:
        return list(shares(value, weights))
    if isinstance(value, dict):
        columns = {name: _divided(one, weights) for name, one in value.items()}
        return [{name: column[index] for name, column in columns.items()} for index in range(len(weights))]
    return [value] * len(weights)


def _count(inputs: list[Any]) -> int:
    if isinstance(inputs[0], str):
        return sum(count_tokens(inputs))
    return sum(len(tokens) for tokens in inputs)


def _written(part: Part, answer: Mapping[str, Any]) -> int:
    """Tokens of the choices of a part; one that ended at its limit has that many."""
    most = part.fields.get("max_tokens")
    cut, texts = 0, []
    for choice in answer.get("choices") or []:
        if most is not None and choice.get("finish_reason") == "length":
            cut += int(most)
        else:
            texts.append(str(choice.get("text") or ""))
    return cut + sum(count_tokens(texts))


def count_tokens(texts: list[str]) -> list[int]:
    """Of each text, in ENCODING."""
    counts: list[int] = toktok.batch_count(texts, ENCODING, threads=1)
    return counts
