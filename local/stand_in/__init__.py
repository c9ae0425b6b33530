"""An OpenAI stand-in over HTTP: right in form, predictable in content, failing on demand, counting its calls.

An endpoint is one module (`chat.py`, `models.py`) that `server.py` routes to; more are added beside them.
"""
