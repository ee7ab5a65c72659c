"""The ground for the tests of the lab: two hosts, with nothing on them that is ours."""

from collections.abc import Iterator

import pytest

from lab import Lab


@pytest.fixture
def bare_lab() -> Iterator[Lab]:
    """Yield a lab of a server `amanda` and a client `laptop`; close it afterwards."""
    with Lab() as built:
        yield built
