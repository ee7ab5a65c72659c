"""What Amanda's module prints of a client's configuration."""

import pytest

from asyncamanda.core.amanda.client_conf import ASKED, parse_client_conf

PRINTED = "/a\n/l\n/x\n/bin/tar\n/d\n/t\n"


def test_each_place_has_its_line() -> None:
    """In the order in which they are asked for."""
    assert parse_client_conf(PRINTED) == dict(
        zip(ASKED, ("/a", "/l", "/x", "/bin/tar", "/d", "/t"), strict=True)
    )


@pytest.mark.parametrize("printed", ["", "\n" * 6, "/a\n", PRINTED + "more\n"])
def test_what_is_not_all_of_it_is_nothing(printed: str) -> None:
    """Another version's module may print something else."""
    assert parse_client_conf(printed) == {}
