"""The server's list of all, into the names that an ordinary user could have seen."""

from datetime import UTC, datetime

import pytest

from asyncamanda.core.restore.answer import FileVersion
from asyncamanda.core.restore.listing_filter import (
    LONGEST_RECORD,
    ListingFilter,
    may_see_version,
    parse_way,
)
from asyncamanda.core.restore.permission import Access, Asker
from asyncamanda.core.restore.visible import Ways

ANA = Asker(1000, "ana", (frozenset({"1000"}),))
LIST = (
    b"@755:0:0::\0Da\0Dbob\0@755:1000:1000::a\0Ya/x\0Na/y\0@700:1001:1001::bob\0Ybob/secret\0"
    b"@750:0:27:757365723a3a72777800::a/odd\0Ya/odd/z\0"
)


def look(*wanted: bytes) -> Ways:
    """Return ways of which nothing is known yet."""
    return Ways(ANA, wanted, is_reachable=True, keeps_acls=True)


def narrow(listed: bytes, *wanted: bytes, piece: int = 1 << 20) -> tuple[set[bytes], ListingFilter]:
    """Return the records that are left of a list, and what is known of it."""
    listing = ListingFilter(look(*wanted), wanted)
    found: set[bytes] = set()
    for at in range(0, len(listed), piece):
        found |= set(listing.feed(memoryview(listed)[at : at + piece]))
    listing.end()
    return found, listing


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_names_that_could_be_listed_are_left(piece: int) -> None:
    """In whatever pieces they come; and nobody sees whose the folders are."""
    found, listing = narrow(LIST.replace(b"::a/odd", b":a/odd"), b"", piece=piece)
    assert found == {b"Da\0", b"Dbob\0", b"Ya/x\0", b"Na/y\0"}
    assert (listing.files, listing.folders, listing.seen) == (2, 2, {b""})


def test_a_file_that_was_named_is_left_where_its_folder_is_open() -> None:
    """Whether or not the folder could be listed."""
    assert narrow(b"@711:0:0::\0Yx\0", b"x")[0] == {b"Yx\0"}
    assert narrow(b"@700:0:0::\0Yx\0", b"x")[0] == set()


def test_a_list_without_owners_is_empty() -> None:
    """As from a server that has not heard of them."""
    assert narrow(b"Da\0Ya/x\0", b"")[0] == set()


@pytest.mark.parametrize(
    "listed",
    [
        b"@755:0:0:\0",
        b"@7x5:0:0::a\0",
        b"@755:-1:0::a\0",
        b"@755:0:0:zz:a\0",
        b"@755:99999999999:0::a\0",
        b"@:::\0",
        b"@\xff:0:0::a\0",
        b"Ya",
        b"x" * (LONGEST_RECORD + 1),
    ],
)
def test_what_is_no_list_is_refused(listed: bytes) -> None:
    """Or is cut off, or has no end."""
    with pytest.raises(ValueError, match=r"."):
        narrow(listed, b"")


def test_a_path_may_have_colons() -> None:
    """All that follows the fourth is the path."""
    found, _ = narrow(b"@755:0:0::\0@755:0:0::a:b:c\0Ya:b:c/x\0", b"")
    assert found == {b"Ya:b:c/x\0"}


def test_a_folders_owner_is_read_with_its_list() -> None:
    """Mode in octal digits, the list in hexadecimal ones."""
    assert parse_way("1755:3:4:0a") == Access(0o1755, 3, 4, b"\n")


@pytest.mark.parametrize(
    ("ways", "is_seen"),
    [
        (("755:0:0:", "755:0:0:"), True),
        (("755:0:0:", "711:0:0:"), True),
        (("755:0:0:", "700:0:0:"), False),
        (("700:0:0:", "755:0:0:"), False),
        (("755:0:0:",), False),
        ((), False),
        (("755:0:0:", "odd"), False),
    ],
)
def test_a_version_is_seen_by_whom_its_folders_let_in(ways: tuple[str, ...], is_seen: bool) -> None:
    """By all of them; where the server does not say all, by nobody."""
    version = FileVersion(b"a/x", "20261120120000", datetime(2026, 11, 20, tzinfo=UTC), "Y")
    version = FileVersion(version.path, version.run, version.dumped_at, "Y", ways=ways)
    assert may_see_version(version, look(b"a/x")) is is_seen
