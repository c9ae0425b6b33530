"""What must never be in anything that a gateway writes or answers."""

import re

# Keys of callers and upstreams and invites, whole; the redacted form has an ellipsis for the rest of the key.
_KEY = rb"(?<![A-Za-z0-9])(?:sk|invite-gw)-[A-Za-z0-9_-]{4,}"
_PEPPER = rb"pepper-p+"
_PASSWORD = rb"[a-z]+-password"
_SECRET = re.compile(b"|".join((_KEY, _PEPPER, _PASSWORD)))


def secrets_in(text: bytes) -> list[bytes]:
    """Every secret of the tests that is in a text, with the line around it."""
    return [line for line in text.splitlines() if any(match for match in _SECRET.finditer(line))]
