"""The endpoints of OpenAI's API that take a JSON body: one module, one object each; the way is the same."""

from app.endpoints.chat import CHAT_COMPLETIONS
from app.endpoints.completions import COMPLETIONS
from app.endpoints.embeddings import EMBEDDINGS
from app.endpoints.endpoint import ApiRequest, Endpoint
from app.endpoints.moderations import MODERATIONS
from app.endpoints.responses import RESPONSES

ENDPOINTS: tuple[Endpoint, ...] = (CHAT_COMPLETIONS, RESPONSES, COMPLETIONS, EMBEDDINGS, MODERATIONS)

__all__ = [
    "CHAT_COMPLETIONS",
    "COMPLETIONS",
    "EMBEDDINGS",
    "ENDPOINTS",
    "MODERATIONS",
    "RESPONSES",
    "ApiRequest",
    "Endpoint",
]
