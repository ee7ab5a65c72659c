"""The header of a dump, as Amanda 3.5.1 writes it."""

import pytest

from asyncamanda.core.amanda.header import (
    HEADER_BYTES,
    DumpHeader,
    FileKind,
    parse_header,
    parse_volume_stamp,
)

RUN = "20261128162409"
HELD = f"""\
AMANDA: FILE {RUN} laptop "/srv/a b"  lev 1 comp N program APPLICATION
APPLICATION=amgtar
ORIGSIZE=40
NATIVE-CRC=c24a1bdd:40960
CLIENT-CRC=c24a1bdd:40960
SERVER-CRC=c24a1bdd:40960
DLE=<<ENDDLE
<dle>
</dle>
ENDDLE
"""


def block(text: str) -> bytes:
    """Return a header as it lies on the disk."""
    return text.encode("utf-8", "surrogateescape").ljust(HEADER_BYTES, b"\0")


def test_a_held_dumps_header_names_it_and_its_size() -> None:
    """Quoted as everywhere in Amanda; and what its client said of it."""
    assert parse_header(block(HELD)) == DumpHeader(
        FileKind.WHOLE,
        RUN,
        "laptop",
        "/srv/a b",
        1,
        size=40960,
        claims="comp N program APPLICATION",
        application="amgtar",
        dle="<dle>\n</dle>",
        unpacked_size=40960,
        checksum=0xC24A1BDD,
        unpacked_checksum=0xC24A1BDD,
    )


def test_the_size_of_what_was_packed_is_as_the_client_reports_it() -> None:
    """It is not that of the dump; a sum of nothing says nothing."""
    text = HELD.replace("NATIVE-CRC=c24a1bdd:40960", "NATIVE-CRC=8229a646:4024320")
    found = parse_header(block(text))
    assert found
    assert (found.size, found.unpacked_size) == (40960, 4_024_320)
    assert (found.checksum, found.unpacked_checksum) == (0xC24A1BDD, 0x8229A646)
    found = parse_header(block(HELD.replace("NATIVE-CRC=c24a1bdd:40960", "NATIVE-CRC=0:0")))
    assert found
    assert (found.unpacked_size, found.unpacked_checksum) == (None, None)


def test_a_parts_header_has_its_number() -> None:
    """On a volume; how many there are is not known."""
    text = HELD.replace("FILE", "SPLIT_FILE", 1).replace("lev", "part 12/-1  lev", 1)
    found = parse_header(block(text))
    assert found
    assert (found.kind, found.part, found.level) == (FileKind.PART, 12, 1)


def test_a_dump_that_goes_on_names_the_next_file() -> None:
    """And may be partial, or not ended yet."""
    text = HELD.replace("SERVER-CRC=c24a1bdd:40960\n", "CONT_FILENAME=/h/1/laptop.d.1.1\n")
    found = parse_header(block(text))
    assert found
    assert (found.goes_on_in, found.size, found.is_partial) == ("/h/1/laptop.d.1.1", None, False)
    found = parse_header(block(f"{text}PARTIAL=YES\n"))
    assert found
    assert found.is_partial


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AMANDA: TAPESTART DATE 20261128162412 TAPE DAILY-001\n",
        f"AMANDA: FILE {RUN} laptop /d  lev x comp N program /bin/tar\n",
        f"AMANDA: FILE {RUN} laptop  lev 1 comp N program /bin/tar\n",
        "AMANDA: FILE 20261128 laptop /d  lev 1 comp N program /bin/tar\n",
        f" {HELD}",
        f"x\n{HELD}",
    ],
)
def test_what_is_no_dumps_header_is_none(text: str) -> None:
    """Nor does anything in it count."""
    assert parse_header(block(text)) is None


def test_behind_the_end_nothing_counts() -> None:
    """A header ends at the first NUL."""
    found = parse_header(block(HELD.replace("SERVER", "\0\nSERVER")))
    assert found
    assert found.size is None


@pytest.mark.parametrize(
    ("host", "disk", "timestamp", "is_it"),
    [
        ("laptop", "/srv/a b", RUN, True),
        ("laptop", "/srv/a", RUN, False),
        ("lap", "/srv/a b", RUN, False),
        ("laptop", "/srv/a b", "20261128162410", False),
    ],
)
def test_a_header_is_of_one_dump(host: str, disk: str, timestamp: str, *, is_it: bool) -> None:
    """By all three of its names."""
    found = parse_header(block(HELD))
    assert found
    assert found.is_of(host, disk, timestamp) is is_it


def test_a_long_name_is_compared_as_it_is_cut() -> None:
    """A header has room for 255 bytes of it."""
    disk = "/" + "d" * 300
    found = parse_header(block(HELD.replace('"/srv/a b"', disk[:255])))
    assert found
    assert found.is_of("laptop", disk, RUN)
    assert not found.is_of("laptop", disk[:254], RUN)


def test_a_volumes_first_file_says_when_it_was_written_last() -> None:
    """By the timestamp of the run that has labelled it."""
    assert parse_volume_stamp(block(f"AMANDA: TAPESTART DATE {RUN} TAPE DAILY-001\n")) == RUN
    assert parse_volume_stamp(block(HELD)) == ""
    assert parse_volume_stamp(b"") == ""
