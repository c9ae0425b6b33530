"""Free loopback ports.

Chosen at random below the kernel's ephemeral range, so that neither an outgoing connection nor another stack
that starts at the same moment takes a port between its choice and its use.
"""

import random
import socket

RANGE = range(20000, 32000)
ATTEMPTS = 200


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on. Raises OSError when none is found."""
    chooser = random.SystemRandom()
    for _ in range(ATTEMPTS):
        port = chooser.choice(RANGE)
        if is_free(port):
            return port
    raise OSError(f"no free port on 127.0.0.1 in {RANGE.start}-{RANGE.stop - 1} after {ATTEMPTS} attempts")


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
