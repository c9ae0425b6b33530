"""POST /v1/embeddings: vectors of length one that depend on the input and the model alone.

Form: OpenAI's API reference, "The embedding object"; base64 is of little-endian 32-bit floats.
"""

import base64
import hashlib
import math
import struct
from typing import Any

from local.stand_in.answers import Answer, BadRequestError, Tokens
from local.stand_in.behaviour import Behaviour
from local.stand_in.completions import count_tokens, inputs_of

DIMENSIONS = 16
"""When the request names none; a real model's would only make tests slower."""
MAX_DIMENSIONS = 3072


def texts(request: dict[str, Any]) -> list[str]:
    """The texts of a request. Raises BadRequestError."""
    return [entry for entry in inputs_of(request, "input") if isinstance(entry, str)]


class Embeddings(Answer):
    """The answer to one request, whose texts were taken before."""

    def __init__(self, request: dict[str, Any], _behaves: Behaviour) -> None:
        inputs = inputs_of(request, "input")
        dimensions = int(request.get("dimensions") or DIMENSIONS)
        if not 0 < dimensions <= MAX_DIMENSIONS:
            raise BadRequestError(f"dimensions must be between 1 and {MAX_DIMENSIONS}", "dimensions")
        self._prompt_tokens = sum(count_tokens(entry) for entry in inputs)
        self.tokens = Tokens(self._prompt_tokens)
        self._model = request["model"]
        as_base64 = request.get("encoding_format") == "base64"
        self._data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _encoded(vector) if as_base64 else vector,
            }
            for index, vector in enumerate(embed(self._model, entry, dimensions) for entry in inputs)
        ]

    def whole(self, *, with_usage: bool) -> dict[str, Any]:
        value: dict[str, Any] = {"object": "list", "data": self._data, "model": self._model}
        if with_usage:
            value["usage"] = {"prompt_tokens": self._prompt_tokens, "total_tokens": self._prompt_tokens}
        return value


def embed(model: str, entry: str | list[int], dimensions: int) -> list[float]:
    """A vector of length one, of 32-bit floats."""
    digest = hashlib.shake_128(f"{model}\0{entry}".encode()).digest(4 * dimensions)
    numbers = [number / 2**31 for number in struct.unpack(f"<{dimensions}i", digest)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    # What a 32-bit float cannot hold would make base64 differ from the plain form.
    packed = struct.pack(f"<{dimensions}f", *(number / length for number in numbers))
    return list(struct.unpack(f"<{dimensions}f", packed))


def _encoded(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
