"""A request for embeddings input by input: what is there already, what is left to ask, and the whole again.

Usage of an assembled answer: the tokens that the upstream counted for the inputs it was asked for, 0 when for
none; so what a caller is told is what was charged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from app.endpoints.endpoint import ApiRequest
from app.telemetry import CacheOutcome


def input_forms(request: ApiRequest) -> list[tuple[bytes, bytes]] | None:
    """For each input what decides about its answer, None when inputs have no answers of their own."""
    inputs = request.endpoint.inputs_of(request)
    if inputs is None:
        return None
    others = {name: value for name, value in request.fields.items() if name != "input"}
    around = orjson.dumps(others, option=orjson.OPT_SORT_KEYS)
    return [(around, orjson.dumps(entry)) for entry in inputs]


class Inputs:
    """The inputs of one request. keys: of their entries. found: the entries, None for those that are missing.

    An entry is the model's name as the upstream spells it and the embedding, each as JSON on a line.
    """

    def __init__(self, request: ApiRequest, keys: Sequence[str], found: Sequence[bytes | None]) -> None:
        self._request = request
        self._keys = keys
        self._found = found
        self._missing = [index for index, entry in enumerate(found) if entry is None]

    @property
    def outcome(self) -> CacheOutcome:
        if not self._missing:
            return "hit"
        return "partial" if len(self._missing) < len(self._found) else "miss"

    def answer(self) -> bytes | None:
        """The whole answer when every input's is there."""
        if self._missing:
            return None
        first = self._found[0] or b""
        model = orjson.Fragment(first.partition(b"\n")[0])
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return orjson.dumps({"object": "list", "data": self._data({}), "model": model, "usage": usage})

    def left_to_ask(self) -> ApiRequest:
        """A request for the inputs that are missing: the caller's own when all are."""
        if len(self._missing) == len(self._found):
            return self._request
        inputs = self._request.endpoint.inputs_of(self._request) or []
        fields = {**self._request.fields, "input": [inputs[index] for index in self._missing]}
        asked = self._request.endpoint.build(orjson.dumps(fields), fields)
        return replace(asked, chain=self._request.chain)

    def completed(
        self, value: Mapping[str, Any], body: bytes
    ) -> tuple[bytes, list[tuple[str, bytes]]] | None:
        """The caller's answer, and what to keep of it: key and entry of each input that was asked for.

        value, body: the upstream's answer to `left_to_ask`. None when it has not one embedding for each.
        """
        answered = dict(_embeddings(value))
        if sorted(answered) != list(range(len(self._missing))) or len(value["data"]) != len(answered):
            return None
        model = orjson.dumps(value.get("model"))
        fresh = {index: answered[number] for number, index in enumerate(self._missing)}
        kept = [(self._keys[index], model + b"\n" + embedding) for index, embedding in fresh.items()]
        if len(fresh) == len(self._found):
            return body, kept
        return orjson.dumps({**value, "data": self._data(fresh)}), kept

    def _data(self, fresh: Mapping[int, bytes]) -> list[dict[str, object]]:
        return [
            {
                "object": "embedding",
                "index": index,
                "embedding": orjson.Fragment(fresh[index] if entry is None else entry.partition(b"\n")[2]),
            }
            for index, entry in enumerate(self._found)
        ]


def _embeddings(value: Mapping[str, Any]) -> Iterator[tuple[int, bytes]]:
    """Index and embedding, as JSON, of what an answer holds in its right form."""
    data = value.get("data")
    for item in data if isinstance(data, list) else ():
        if isinstance(item, dict) and type(item.get("index")) is int:
            embedding = item.get("embedding")
            if isinstance(embedding, str | list):
                yield item["index"], orjson.dumps(embedding)
