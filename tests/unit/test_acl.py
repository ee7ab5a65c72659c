"""Access control lists, from tar's text to the kernel's bytes."""

import struct

import pytest

from asyncamanda.core.restore.acl import AclEntry, parse_acl, render_acl

TEXT = b"user::rw-\nuser:anna:r--\nuser:1002:rw-\ngroup::r--\nmask::rw-\nother::---\n"
IDS = {("user", "anna"): 1001, ("group", "anna"): 77}


def unpack(value: bytes) -> list[tuple[int, int, int]]:
    """Return the entries of a kernel's list: tag, permissions, number."""
    assert value[:4] == b"\2\0\0\0"
    return list(struct.iter_unpack("<HHI", value[4:]))


def test_a_list_has_the_numbers_of_here_in_the_kernels_order() -> None:
    """By name, or by number where there is no such name."""
    nobody = 0xFFFFFFFF
    assert unpack(render_acl(parse_acl(TEXT), lambda kind, name: IDS.get((kind, name)))) == [
        (1, 6, nobody),
        (2, 4, 1001),
        (2, 6, 1002),
        (4, 4, nobody),
        (0x10, 6, nobody),
        (0x20, 0, nobody),
    ]


def test_a_number_that_was_stored_counts_where_there_is_no_such_name() -> None:
    """As star stores it; and short words and commas are understood."""
    entries = parse_acl(b"u::rwx,g::---,u:bert:r-x:1005,m:r-x,o::---")
    assert entries[2] == AclEntry("user", "bert", 5, 1005)
    assert (2, 5, 1005) in unpack(render_acl(entries, lambda *_: None))


def test_a_name_with_odd_bytes_is_understood() -> None:
    """acl_to_text(3) writes them in digits."""
    (entry,) = parse_acl(b"user:a\\040b\\134:r--\n")
    assert entry.name == "a b\\"


def test_who_is_nobody_here_has_no_number() -> None:
    """It is an error, and not somebody else."""
    with pytest.raises(ValueError, match="names a user that is not there"):
        render_acl(parse_acl(b"user:carl:r--\n"), lambda *_: None)


@pytest.mark.parametrize(
    "text",
    [
        b"user::rw",
        b"user::rwxr",
        b"who::rw-",
        b"mask:anna:rw-",
        b"user",
        b"user:a:b:c:d",
        b"user::r-x:1:2",
        b"user:anna:rw-\n" * 9000,
    ],
)
def test_what_is_no_list_is_refused(text: bytes) -> None:
    """Each entry has its kind, its name and three letters; and there are not too many."""
    with pytest.raises(ValueError, match="an access control list"):
        parse_acl(text)
