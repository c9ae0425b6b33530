"""POST /v1/moderations, which is free of charge and tells no usage."""

from collections.abc import Mapping
from typing import Any

from app.endpoints.bounds import parts_tokens, text_bound_tokens
from app.endpoints.endpoint import ApiRequest, Endpoint
from app.errors import invalid_request
from app.validate import Check, check_fields, json_dict, missing, model_name, text, wrong_type

DEFAULT_MODEL = "omni-moderation-latest"
MAX_INPUTS = 2048


class Moderations(Endpoint):
    path = "/moderations"

    def build(self, body: bytes, fields: dict[str, Any]) -> ApiRequest:
        check_fields(fields, _FIELDS)
        asked = fields.get("input")
        if asked is None:
            raise missing("input", "a text, an array of texts, or an array of text and image_url parts")
        images = parts_tokens(asked) or 0
        return ApiRequest(
            endpoint=self,
            body=body,
            fields=fields,
            model=fields.get("model") or DEFAULT_MODEL,
            stream=False,
            include_usage=False,
            prompt_bound_tokens=text_bound_tokens(body, 0) + images,
            answers=0,
            answer_bound_tokens=0,
        )

    def is_complete(self, answer: Mapping[str, object]) -> bool:
        return "error" not in answer and bool(answer.get("results"))

    def is_repeatable(self, request: ApiRequest) -> bool:  # noqa: ARG002
        # A verdict is to be today's: it is free, and the model behind the name gets better.
        return False


MODERATIONS = Moderations()


def _input(param: str, value: object) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        raise wrong_type(param, value, "a string, an array of strings or an array of parts")
    if not value:
        raise invalid_request(f"{param} is empty. Send one input or more.", param=param, code="empty_array")
    if len(value) > MAX_INPUTS:
        raise invalid_request(
            f"{param} must be {MAX_INPUTS} inputs or fewer.", param=param, code="invalid_value"
        )
    of_texts = isinstance(value[0], str)
    for index, entry in enumerate(value):
        named = f"{param}[{index}]"
        if of_texts:
            text(named, entry)
        else:
            if json_dict(named, entry).get("type") is None:
                raise missing(f"{named}.type", "the kind of the part: text or image_url")
            text(f"{named}.type", entry["type"])


_FIELDS: dict[str, Check] = {"model": model_name, "input": _input}
