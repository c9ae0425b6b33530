"""The container's health check: `python -m app.healthcheck` exits 0 while GATEWAY_PORT serves."""

import http.client
import os
import sys

TIMEOUT_S = 2.0


def main() -> int:
    """Asks /healthz on this machine. Returns the exit code."""
    try:
        port = int(os.environ["GATEWAY_PORT"])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (KeyError, ValueError, OSError, http.client.HTTPException) as failure:
        print(f"no answer from the gateway: {type(failure).__name__}", file=sys.stderr)  # noqa: T201
        return 1
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
