"""Becomes the given command, tied to its parent: when the parent dies, however it dies, so does this.

Run as `python -I -S tether.py PARENT_PID COMMAND...`. A program of its own, because code between fork and
exec in a process with threads may deadlock. Linux only (PR_SET_PDEATHSIG); elsewhere it just becomes the
command, and `processes.sweep` ends what a killed parent left.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent_pid, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before we asked to be told
            sys.exit(1)
    os.execvpe(command[0], command, os.environ)  # noqa: S606


if __name__ == "__main__":
    main()
