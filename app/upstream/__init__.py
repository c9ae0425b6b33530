"""Calls to OpenAI-compatible APIs: which deployment, how often, and what of the answer passes."""

from app.upstream.answers import Answer, UpstreamRefusal
from app.upstream.call import Asking, Kept
from app.upstream.client import MAX_CONNECTIONS, Upstream
from app.upstream.retries import may_be_charged

__all__ = ["MAX_CONNECTIONS", "Answer", "Asking", "Kept", "Upstream", "UpstreamRefusal", "may_be_charged"]
