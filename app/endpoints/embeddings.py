"""POST /v1/embeddings. Bounds of fields are those of OpenAI's API reference."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.endpoints.bounds import text_bound_tokens
from app.endpoints.endpoint import ApiRequest, Endpoint
from app.endpoints.inputs import count_inputs
from app.validate import (
    Check,
    check_fields,
    integer,
    missing,
    model_name,
    require_model,
    text,
    wrong_value,
)

MAX_DIMENSIONS = 2**20


class Embeddings(Endpoint):
    path = "/embeddings"
    # Vectors of different models cannot be compared.
    takes_fallbacks = False

    def build(self, body: bytes, fields: dict[str, Any]) -> ApiRequest:
        check_fields(fields, _FIELDS)
        require_model(fields)
        if fields.get("input") is None:
            raise missing("input", "a text, an array of tokens, or an array of either")
        return ApiRequest(
            endpoint=self,
            body=body,
            fields=fields,
            model=fields["model"],
            stream=False,
            include_usage=False,
            prompt_bound_tokens=text_bound_tokens(body, 0),
            answers=0,
            answer_bound_tokens=0,
        )

    def is_complete(self, answer: Mapping[str, object]) -> bool:
        return "error" not in answer and bool(answer.get("data"))

    def is_repeatable(self, request: ApiRequest) -> bool:  # noqa: ARG002
        return True

    def inputs_of(self, request: ApiRequest) -> Sequence[object] | None:
        if not _FIELDS.keys() >= request.fields.keys():
            # What a field means that is not known here may depend on all inputs together.
            return None
        value = request.fields["input"]
        return value if isinstance(value, list) and isinstance(value[0], str | list) else [value]


EMBEDDINGS = Embeddings()


def _input(param: str, value: object) -> None:
    count_inputs(param, value)
    if value == "":
        raise wrong_value(param, "must not be an empty string")
    if isinstance(value, list) and "" in value:
        raise wrong_value(f"{param}[{value.index('')}]", "must not be an empty string")


def _encoding_format(param: str, value: object) -> None:
    if text(param, value) not in ("float", "base64"):
        raise wrong_value(param, "must be float or base64")


_FIELDS: dict[str, Check] = {
    "model": model_name,
    "input": _input,
    "dimensions": integer(1, MAX_DIMENSIONS),
    "encoding_format": _encoding_format,
    "user": text,
}
