"""Local AWS as a program: `python -m local.aws.server READY_FILE`.

moto's server on a free loopback port, which is written to READY_FILE once it listens. The repairs are applied
first; each file in `repairs/` says what moto lacks.
"""

import signal
import sys
from pathlib import Path
from typing import NoReturn

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from local.aws.repairs import repair_all
from local.files import write_text


class QuietRequestHandler(MotoRequestHandler):
    """Keep-alive connections, and a log that holds failures only."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if str(code).startswith("5"):
            super().log_request(code, size)


def main(ready_file: Path) -> None:
    signal.signal(signal.SIGTERM, _exit)
    repair_all()
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietRequestHandler)
    write_text(ready_file, str(server.server_port))
    server.serve_forever()


def _exit(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
