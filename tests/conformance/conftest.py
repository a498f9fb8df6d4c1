"""One world for the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance import day
from tests.conformance.world import World, running


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The services, with something of everything in them."""
    with running(tmp_path_factory.mktemp("world")) as found:
        day.live(found)
        yield found
