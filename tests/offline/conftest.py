"""The stacks' graphs, as the tests of the program have them."""

from tests.infra.conftest import either, production, staging

__all__ = ["either", "production", "staging"]
