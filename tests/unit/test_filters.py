"""Which programs may undo what a dump went through: never one that only its header names."""

import pytest

from asyncamanda.core.amanda.filters import (
    GZIP,
    Filters,
    FiltersRefused,
    FilterStep,
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
        (FAST, [FilterStep(GZIP)]),
        (Filters("server best"), [FilterStep(GZIP)]),
        (ZSTD, [FilterStep("/usr/bin/zstd", "-d")]),
        (Filters("client custom", "/usr/bin/zstd"), [FilterStep("/usr/bin/zstd", "-d")]),
        (CRYPT, [FilterStep("/usr/sbin/amcrypt", "-x"), FilterStep(GZIP)]),
        (Filters(encrypt="client", encrypt_program="/e"), [FilterStep("/e", "")]),
        (Filters("server custom", "zstd", "server", "crypt", "-d"), []),
        (Filters("server custom", ""), []),
        (Filters("none", "/usr/bin/zstd", "none", "/e", "-d"), []),
    ],
)
def test_what_undoes_the_filters(filters: Filters, steps: list[FilterStep]) -> None:
    """Decrypt, then decompress; what is not in force, or has no whole path, is left out."""
    assert list(list_steps(filters)) == steps


@pytest.mark.parametrize(
    ("today", "recorded", "allow_list", "wanted"),
    [
        (None, None, (), ()),
        (CRYPT, ZSTD, (), ()),
        (None, None, (), (FilterStep(GZIP),)),
        (PLAIN, PLAIN, (), (FilterStep(GZIP),)),
        (ZSTD, None, (), (FilterStep("/usr/bin/zstd"),)),
        (None, ZSTD, (), (FilterStep("/usr/bin/zstd"),)),
        (PLAIN, ZSTD, (), (FilterStep("/usr/bin/zstd"),)),
        (PLAIN, None, ("/usr/bin/zstd",), (FilterStep("/usr/bin/zstd"),)),
        (CRYPT, None, (), (FilterStep("/usr/sbin/amcrypt", "-x"), FilterStep(GZIP))),
        (CRYPT, ZSTD, (), (FilterStep("/usr/sbin/amcrypt", "-x"), FilterStep("/usr/bin/zstd"))),
    ],
)
def test_a_header_chooses_among_what_the_administrator_said(
    today: Filters | None,
    recorded: Filters | None,
    allow_list: tuple[str, ...],
    wanted: tuple[FilterStep, ...],
) -> None:
    """By today's dumptype, by the one the dump was made with, or by server.toml."""
    assert allowed_filters(today, recorded, allow_list, wanted) == wanted


UNKNOWN = "neither the DLE's current dumptype"
OPTION = "it is not allowed with this option"


@pytest.mark.parametrize(
    ("today", "recorded", "allow_list", "wanted", "bad", "words"),
    [
        (None, None, (), [FilterStep("/usr/bin/zstd")], 0, UNKNOWN),
        (PLAIN, FAST, ("/usr/bin/xz",), [FilterStep("/usr/bin/zstd")], 0, UNKNOWN),
        (ZSTD, ZSTD, (), [FilterStep(GZIP), FilterStep("/tmp/x")], 1, UNKNOWN),  # noqa: S108 - only a name
        (ZSTD, ZSTD, (), [FilterStep("/usr/bin/zstd", "-c")], 0, OPTION),
        (ZSTD, None, (), [FilterStep("zstd")], 0, UNKNOWN),
        (ZSTD, None, (), [FilterStep("/usr/bin/../bin/zstd")], 0, UNKNOWN),
        (ZSTD, None, (), [FilterStep("/usr/bin/zstd ")], 0, UNKNOWN),
        (CRYPT, None, (), [FilterStep("/usr/sbin/amcrypt")], 0, OPTION),
        (PLAIN, None, ("/usr/bin/gpg",), [FilterStep("/usr/bin/gpg", "--run-this")], 0, OPTION),
        (FAST, FAST, (), [FilterStep("/usr/bin/gzip")], 0, UNKNOWN),
        (FAST, FAST, (), [FilterStep(GZIP, "")], 0, OPTION),
        (FAST, FAST, (), [FilterStep("")], 0, UNKNOWN),
        (Filters("server custom", ""), None, (), [FilterStep("")], 0, UNKNOWN),
        (Filters("none", "/usr/bin/zstd"), None, (), [FilterStep("/usr/bin/zstd")], 0, UNKNOWN),
        (FAST, FAST, (), [FilterStep(GZIP)] * 3, 2, "compressed once"),
    ],
)
def test_a_header_never_names_a_program_of_its_own(
    today: Filters | None,
    recorded: Filters | None,
    allow_list: tuple[str, ...],
    wanted: list[FilterStep],
    bad: int,
    words: str,
) -> None:
    """What nobody else has named does not run, and neither does a known one told otherwise."""
    refused = allowed_filters(today, recorded, allow_list, wanted)
    assert isinstance(refused, FiltersRefused)
    assert refused.step == wanted[bad]
    assert words in refused.reason
