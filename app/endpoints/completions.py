"""POST /v1/completions. Bounds of fields are those of OpenAI's API reference."""

from collections.abc import Mapping
from typing import Any

from app.endpoints.bounds import text_bound_tokens
from app.endpoints.endpoint import ApiRequest, Endpoint
from app.endpoints.inputs import count_inputs
from app.sse import CompletionStream, EventStream
from app.usage_chunk import with_usage_chunk
from app.validate import (
    I64,
    Check,
    boolean,
    check_fields,
    integer,
    json_dict,
    model_name,
    number,
    require_model,
    stop,
    stream_options,
    text,
    wants_usage_chunk,
)


class Completions(Endpoint):
    path = "/completions"
    answer_tokens_fields = ("max_tokens",)
    unasked_answer_tokens = 16
    takes_stop = True

    def build(self, body: bytes, fields: dict[str, Any]) -> ApiRequest:
        check_fields(fields, _FIELDS)
        require_model(fields)
        stream = fields.get("stream") is True
        prompts = count_inputs("prompt", fields.get("prompt") or "")
        answers = prompts * max(int(fields.get("n") or 1), int(fields.get("best_of") or 1))
        most = fields.get("max_tokens")
        return ApiRequest(
            endpoint=self,
            body=body,
            fields=fields,
            model=fields["model"],
            stream=stream,
            include_usage=wants_usage_chunk(fields, stream=stream),
            prompt_bound_tokens=text_bound_tokens(body, prompts),
            answers=answers,
            answer_bound_tokens=None if most is None else answers * int(most),
        )

    def is_complete(self, answer: Mapping[str, object]) -> bool:
        return "error" not in answer and bool(answer.get("choices"))

    def is_repeatable(self, request: ApiRequest) -> bool:
        return request.fields.get("temperature") == 0 or request.fields.get("seed") is not None

    def is_pure(self, request: ApiRequest) -> bool:  # noqa: ARG002
        return True

    def body_for_stream(self, request: ApiRequest) -> bytes:
        return with_usage_chunk(request.body, request.fields, asked_for=request.include_usage)

    def events(self, request: ApiRequest) -> EventStream:
        return CompletionStream(strip_usage=not request.include_usage)


COMPLETIONS = Completions()

_FIELDS: dict[str, Check] = {
    "model": model_name,
    "prompt": count_inputs,
    "stream": boolean,
    "stream_options": stream_options,
    "best_of": integer(1, 20),
    "n": integer(1, 128),
    "echo": boolean,
    "logprobs": integer(0, 5),
    # 0 asks for the probabilities of the prompt alone.
    "max_tokens": integer(0, I64 - 1),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "seed": integer(-I64, I64 - 1),
    "stop": stop,
    "suffix": text,
    "user": text,
    "logit_bias": json_dict,
}
