"""The endpoints of OpenAI's API that take a JSON body: one module, one object each; the way is the same."""

from app.endpoints.chat import CHAT_COMPLETIONS
from app.endpoints.endpoint import ApiRequest, Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (CHAT_COMPLETIONS,)

__all__ = ["CHAT_COMPLETIONS", "ENDPOINTS", "ApiRequest", "Endpoint"]
