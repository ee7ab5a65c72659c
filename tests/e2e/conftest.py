"""The ground for the end-to-end tests: real Amanda, real OpenSSH, hosts of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab


@pytest.fixture(scope="session")
def lab_prefix() -> Path:
    """Where `./test` has installed asyncamanda, for the hosts to see as /opt/asyncamanda."""
    installed = os.environ.get("ASYNCAMANDA_INSTALLED")
    if not installed:
        raise pytest.UsageError(
            "this test needs asyncamanda installed: run ./test, or set ASYNCAMANDA_INSTALLED to"
            " a virtual environment whose scripts begin with #!/opt/asyncamanda/bin/python"
        )
    return Path(installed)


@pytest.fixture
def lab(lab_prefix: Path) -> Iterator[Lab]:
    """Yield a server `amanda` and a client `laptop`, with asyncamanda installed on both."""
    with Lab(prefix=lab_prefix) as built:
        yield built


@pytest.fixture
def bare_lab() -> Iterator[Lab]:
    """Yield the same without asyncamanda."""
    with Lab() as built:
        yield built
