"""Which programs may undo what a dump went through: never one that only its header names."""

import pytest

from asyncamanda.core.amanda.filters import (
    GZIP,
    Filters,
    FiltersRefused,
    Step,
    allowed_filters,
    list_steps,
)

PLAIN = Filters()
FAST = Filters("client fast")
ZSTD = Filters("server custom", "/usr/bin/zstd")
CRYPT = Filters("client best", "", "server", "/usr/sbin/amcrypt", "-x")


@pytest.mark.parametrize(
    ("filters", "steps"),
    [
        (PLAIN, []),
        (FAST, [Step(GZIP)]),
        (Filters("server best"), [Step(GZIP)]),
        (ZSTD, [Step("/usr/bin/zstd", "-d")]),
        (Filters("client custom", "/usr/bin/zstd"), [Step("/usr/bin/zstd", "-d")]),
        (CRYPT, [Step("/usr/sbin/amcrypt", "-x"), Step(GZIP)]),
        (Filters(encrypt="client", encrypt_program="/e"), [Step("/e", "")]),
        (Filters("server custom", "zstd", "server", "crypt", "-d"), []),
        (Filters("server custom", ""), []),
        (Filters("none", "/usr/bin/zstd", "none", "/e", "-d"), []),
    ],
)
def test_what_undoes_the_filters(filters: Filters, steps: list[Step]) -> None:
    """Decrypt, then decompress; what is not in force, or has no whole path, is left out."""
    assert list(list_steps(filters)) == steps


@pytest.mark.parametrize(
    ("today", "recorded", "allow_list", "wanted"),
    [
        (None, None, (), ()),
        (CRYPT, ZSTD, (), ()),
        (None, None, (), (Step(GZIP),)),
        (PLAIN, PLAIN, (), (Step(GZIP),)),
        (ZSTD, None, (), (Step("/usr/bin/zstd"),)),
        (None, ZSTD, (), (Step("/usr/bin/zstd"),)),
        (PLAIN, ZSTD, (), (Step("/usr/bin/zstd"),)),
        (PLAIN, None, ("/usr/bin/zstd",), (Step("/usr/bin/zstd"),)),
        (CRYPT, None, (), (Step("/usr/sbin/amcrypt", "-x"), Step(GZIP))),
        (CRYPT, ZSTD, (), (Step("/usr/sbin/amcrypt", "-x"), Step("/usr/bin/zstd"))),
    ],
)
def test_a_header_chooses_among_what_the_administrator_said(
    today: Filters | None,
    recorded: Filters | None,
    allow_list: tuple[str, ...],
    wanted: tuple[Step, ...],
) -> None:
    """By today's dumptype, by the one the dump was made with, or by server.toml."""
    assert allowed_filters(today, recorded, allow_list, wanted) == wanted


UNKNOWN = "neither the DLE's current dumptype"
OPTION = "it is not allowed with this option"


@pytest.mark.parametrize(
    ("today", "recorded", "allow_list", "wanted", "bad", "words"),
    [
        (None, None, (), [Step("/usr/bin/zstd")], 0, UNKNOWN),
        (PLAIN, FAST, ("/usr/bin/xz",), [Step("/usr/bin/zstd")], 0, UNKNOWN),
        (ZSTD, ZSTD, (), [Step(GZIP), Step("/tmp/x")], 1, UNKNOWN),  # noqa: S108 - only a name
        (ZSTD, ZSTD, (), [Step("/usr/bin/zstd", "-c")], 0, OPTION),
        (ZSTD, None, (), [Step("zstd")], 0, UNKNOWN),
        (ZSTD, None, (), [Step("/usr/bin/../bin/zstd")], 0, UNKNOWN),
        (ZSTD, None, (), [Step("/usr/bin/zstd ")], 0, UNKNOWN),
        (CRYPT, None, (), [Step("/usr/sbin/amcrypt")], 0, OPTION),
        (PLAIN, None, ("/usr/bin/gpg",), [Step("/usr/bin/gpg", "--run-this")], 0, OPTION),
        (FAST, FAST, (), [Step("/usr/bin/gzip")], 0, UNKNOWN),
        (FAST, FAST, (), [Step(GZIP, "")], 0, OPTION),
        (FAST, FAST, (), [Step("")], 0, UNKNOWN),
        (Filters("server custom", ""), None, (), [Step("")], 0, UNKNOWN),
        (Filters("none", "/usr/bin/zstd"), None, (), [Step("/usr/bin/zstd")], 0, UNKNOWN),
        (FAST, FAST, (), [Step(GZIP)] * 3, 2, "compressed once"),
    ],
)
def test_a_header_never_names_a_program_of_its_own(
    today: Filters | None,
    recorded: Filters | None,
    allow_list: tuple[str, ...],
    wanted: list[Step],
    bad: int,
    words: str,
) -> None:
    """What nobody else has named does not run, and neither does a known one told otherwise."""
    refused = allowed_filters(today, recorded, allow_list, wanted)
    assert isinstance(refused, FiltersRefused)
    assert refused.step == wanted[bad]
    assert words in refused.reason
