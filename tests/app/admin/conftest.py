"""Organizations of a test's own."""

from collections.abc import Callable, Iterator

import pytest

from tests.app.admin.people import People
from tests.app.conftest import Aws, Gateway, StartGateway


@pytest.fixture
def people(aws: Aws, gateway: Gateway) -> People:
    return People(aws, gateway)


@pytest.fixture
def more_people(aws: Aws, gateway: Gateway) -> Callable[[], People]:
    """Makes further organizations."""
    return lambda: People(aws, gateway)


@pytest.fixture(scope="module")
def second_gateway(start_gateway: StartGateway) -> Iterator[Gateway]:
    """A further replica."""
    with start_gateway() as gateway:
        yield gateway
