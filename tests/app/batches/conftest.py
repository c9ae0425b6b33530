"""The stand-in with no files and batches of earlier tests."""

import pytest

from tests.app.conftest import StandIn


@pytest.fixture
def stand_in(stand_in: StandIn) -> StandIn:
    stand_in.control("DELETE", "/batches")
    return stand_in


@pytest.fixture
def held(stand_in: StandIn) -> StandIn:
    """Batches stay in progress until they are let go."""
    stand_in.control("PUT", "/batches", {"held": True})
    return stand_in
