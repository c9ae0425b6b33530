"""POST /v1/moderations: flags what names a category between stars, such as *violence* or *hate/threatening*.

Form: OpenAI's API reference, "The moderation object".
"""

import re
from typing import Any

from local.stand_in.answers import Answer, BadRequestError, new_id
from local.stand_in.behaviour import Behaviour

DEFAULT_MODEL = "omni-moderation-latest"
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
FLAGGED_SCORE = 0.97
CLEAN_SCORE = 0.0001
_NAMED = re.compile(r"\*([a-z/-]+)\*")


def texts(request: dict[str, Any]) -> list[str]:
    """The texts of a request. Raises BadRequestError."""
    return [str(entry) for entry in _inputs(request)]


def _inputs(request: dict[str, Any]) -> list[Any]:
    """What gets a result each: every text, or all parts together."""
    value = request.get("input")
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise BadRequestError("input must be a string or a list", "input")
    return value if isinstance(value[0], str) else [value]


class Moderation(Answer):
    """The answer to one request, whose texts were taken before."""

    def __init__(self, request: dict[str, Any], _behaves: Behaviour) -> None:
        self.tokens = None
        self._id = new_id("modr-")
        self._model = request["model"]
        self._results = [_result(entry) for entry in _inputs(request)]

    def whole(self, *, with_usage: bool) -> dict[str, Any]:  # noqa: ARG002 (there is none)
        return {"id": self._id, "model": self._model, "results": self._results}


def _result(entry: object) -> dict[str, Any]:
    named = set(_NAMED.findall(str(entry)))
    kinds = ["image"] if "'image_url'" in str(entry) and "'text'" not in str(entry) else ["text"]
    return {
        "flagged": any(category in named for category in CATEGORIES),
        "categories": {category: category in named for category in CATEGORIES},
        "category_scores": {
            category: FLAGGED_SCORE if category in named else CLEAN_SCORE for category in CATEGORIES
        },
        "category_applied_input_types": dict.fromkeys(CATEGORIES, kinds),
    }
