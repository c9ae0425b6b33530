"""Removes a stack from AWS by one command, unless it is protected: then it says what takes protection off.

`python -m infra.remove --stack staging`. `pulumi destroy` refuses a protected stack in its preview too; with
--skip-preview it removes what only watches and scales the service before it fails, and leaves the rest.
"""

import argparse
import subprocess
import sys

from infra.config import ConfigError, load_file


class ProtectedError(Exception):
    """The stack is protected; the text says how to go on."""


def check_removable(stack: str) -> None:
    """Raises ProtectedError for a stack with deletion_protection, and ConfigError for none at all."""
    if load_file(stack).deletion_protection:
        raise ProtectedError(
            f"stack {stack} has deletion_protection. Its tables, buckets, secrets and keys would be lost.\n"
            "If that is what you want, take the protection off first, on AWS and in Pulumi's state:\n"
            f"  pulumi config set deletion_protection false --stack {stack}\n"
            f"  pulumi up --stack {stack}\n"
            f"  python -m infra.remove --stack {stack}"
        )


def main(arguments: list[str] | None = None) -> int:
    """The command line; ends with the exit code of `pulumi destroy`."""
    parser = argparse.ArgumentParser(prog="python -m infra.remove", description=__doc__)
    parser.add_argument("--stack", required=True, help="the Pulumi stack, as in Pulumi.<stack>.yaml")
    stack: str = parser.parse_args(arguments).stack
    try:
        check_removable(stack)
        return subprocess.run(["pulumi", "destroy", "--yes", "--stack", stack], check=False).returncode  # noqa: S607
    except FileNotFoundError:
        print("remove: the pulumi command is not on the PATH; install the Pulumi CLI", file=sys.stderr)  # noqa: T201
    except (ProtectedError, ConfigError) as error:
        print(f"remove: {error}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
