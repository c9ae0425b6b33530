"""What a request reserves before, and what it is charged after, by its bounds, its answer, or its time."""

from dataclasses import dataclass

from app.endpoints import ApiRequest
from app.prices import UNKNOWN_CONTEXT_TOKENS, Price
from app.usage import Usage

ESTIMATED_BYTES_PER_TOKEN = 3
ESTIMATED_TOKENS_PER_S = 200
"""When the upstream gave no figures: more tokens than most texts have and most models write."""


@dataclass(slots=True)
class Bounds:
    """The most that a request can use. given: the request bounds it itself, not only its model."""

    prompt_tokens: int
    answer_tokens: int
    given: bool

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.answer_tokens


def bounds(request: ApiRequest, price: Price | None) -> Bounds:
    context = UNKNOWN_CONTEXT_TOKENS if price is None else price.context_tokens
    longest = context if price is None else price.answer_tokens
    prompt, answer = request.prompt_bound_tokens, request.answer_bound_tokens
    return Bounds(
        context if prompt is None else prompt,
        longest * request.answers if answer is None else answer,
        given=prompt is not None and answer is not None,
    )


def estimate(request: ApiRequest, most: Bounds, chunks: int, unseen_s: float) -> Usage:
    """Of an answer that broke off or told no usage: by its events, and by the time in which none came.

    unseen_s: a model may think, at its price, before and between what it says.
    """
    prompt = min(most.prompt_tokens, len(request.body) // ESTIMATED_BYTES_PER_TOKEN + 1)
    unseen = int(unseen_s * ESTIMATED_TOKENS_PER_S) * request.answers
    completion = min(most.answer_tokens, chunks + unseen)
    return Usage(prompt, completion, prompt + completion, estimated=True)
