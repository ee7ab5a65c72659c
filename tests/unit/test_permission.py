"""What an ordinary user could have read, by owner, group, mode and access control list."""

import struct

import pytest

from asyncamanda.core.restore.access_list import find_acl, read_acl
from asyncamanda.core.restore.acl import AclEntry
from asyncamanda.core.restore.permission import Access, Asker, may_enter, may_read

GROUPS = frozenset({"1000", "ana", "27", "sudo"})
ANA = Asker(1000, "ana", (GROUPS,))
TEXT = b"user::rw-\nuser:ana:r--\ngroup::---\nmask::r--\nother::---\n"


def reads(access: Access, asker: Asker = ANA, *, keeps_acls: bool = True) -> bool:
    """Return whether `asker` may read."""
    return may_read(access, asker, keeps_acls=keeps_acls)


@pytest.mark.parametrize(
    ("access", "is_allowed"),
    [
        (Access(0o400, 1000, 0), True),
        (Access(0o377, 1000, 1000), False),  # the owner's bits alone count for the owner
        (Access(0o040, 0, 27), True),
        (Access(0o704, 0, 27), False),  # and the group's for a member
        (Access(0o004, 0, 0), True),
        (Access(0o770, 0, 0), False),
        (Access(0o600, 0, 1000), False),
    ],
)
def test_one_class_decides_alone(access: Access, is_allowed: bool) -> None:
    """Owner, else group, else all others, as the kernel does."""
    assert reads(access) is is_allowed


def test_a_folder_is_entered_by_another_bit_than_it_is_listed() -> None:
    """Execute, not read."""
    only_enter, only_list = Access(0o711, 0, 0), Access(0o744, 0, 0)
    assert may_enter(only_enter, ANA, keeps_acls=True)
    assert not reads(only_enter)
    assert not may_enter(only_list, ANA, keeps_acls=True)
    assert reads(only_list)


def test_group_bits_that_may_be_a_mask_give_nobody_anything() -> None:
    """The image may have lost the list that they were the mask of."""
    assert not reads(Access(0o640, 0, 27), keeps_acls=False)
    assert reads(Access(0o640, 0, 27), keeps_acls=True)


def test_group_bits_that_may_be_a_mask_still_take() -> None:
    """A member may do what all others may, if that is not taken from the group."""
    assert reads(Access(0o644, 0, 27), keeps_acls=False)
    assert not reads(Access(0o604, 0, 27), keeps_acls=False)


def test_both_ways_to_know_the_groups_have_to_allow_it() -> None:
    """A group that was left is no use any more, and giving one up is no way around its "no"."""
    left = Asker(1000, "ana", (GROUPS, frozenset({"1000"})))
    given_up = Asker(1000, "ana", (frozenset({"1000"}), GROUPS))
    for asker in (left, given_up):
        assert not reads(Access(0o640, 0, 27), asker)
        assert not reads(Access(0o604, 0, 27), asker)
        assert reads(Access(0o644, 0, 27), asker)


def test_both_ways_to_know_the_groups_have_to_be_in_a_list() -> None:
    """As in a mode."""
    left = Asker(1000, "ana", (GROUPS, frozenset({"1000"})))
    allowing = b"user::---\ngroup::---\ngroup:27:r--\nmask::r--\nother::---"
    denying = b"user::---\ngroup::---\ngroup:27:---\nmask::r--\nother::r--"
    assert reads(Access(0, 0, 0, allowing))
    for acl in (allowing, denying):
        assert not reads(Access(0, 0, 0, acl), left)


def test_without_any_way_to_know_the_groups_there_is_no_asker() -> None:
    """What all of none allow would be everything."""
    with pytest.raises(ValueError, match="groups"):
        Asker(1000, "ana", ())


@pytest.mark.parametrize(
    ("acl", "is_allowed"),
    [
        (b"user::---\nuser:ana:r--\ngroup::---\nmask::r--\nother::---", True),
        (b"user::---\nuser:1000:r--\ngroup::---\nmask::r--\nother::---", True),
        (b"user::---\nuser:ana:r--\ngroup::---\nmask::---\nother::r--", False),
        (b"user::---\nuser:ana:---\ngroup::r--\nmask::r--\nother::r--", False),
        (b"user::---\nuser:bob:r--\ngroup::---\nmask::r--\nother::---", False),
        (b"user::---\nuser:bob:---\ngroup::---\nmask::r--\nother::r--", True),
        (b"user::---\ngroup::---\ngroup:sudo:r--\nmask::r--\nother::---", True),
        (b"user::---\ngroup::---\ngroup:27:r--\nmask::r--\nother::---", True),
        (b"user::---\ngroup::---\ngroup:27:r--\nmask::-wx\nother::r--", False),
        (b"user::---\ngroup::r--\ngroup:27:---\nmask::r--\nother::---", False),
        (b"user::---\ngroup::---\ngroup:27:---\ngroup:ana:r--\nmask::r--\nother::---", True),
        (b"user::rwx\ngroup::rwx\nother::r--", True),
        (b"user::rwx\ngroup::rwx\nother::---", False),
    ],
)
def test_a_list_decides_by_named_user_then_groups_then_others(acl: bytes, is_allowed: bool) -> None:
    """With the mask on all but owner and others; the mode's group bits are not asked."""
    assert reads(Access(0o070, 0, 0, acl), keeps_acls=False) is is_allowed


def test_the_owners_bits_count_whatever_the_list_says() -> None:
    """The mask is not for the owner."""
    assert reads(Access(0o400, 1000, 0, b"user::r--\ngroup::---\nmask::---\nother::---"))


def test_the_owning_group_is_found_in_a_list() -> None:
    """It has no name in there."""
    assert reads(Access(0o040, 0, 27, b"user::---\ngroup::r--\nmask::r--\nother::---"))
    assert not reads(Access(0o040, 0, 27, b"user::---\ngroup::r--\nmask::---\nother::r--"))


@pytest.mark.parametrize(
    "acl",
    [
        b"\0",
        b"user::r--",
        b"user::r--\ngroup::r--\nother::r--\nother::r--",
        b"user::r--\ngroup::r--\nother::r--\nmask:x:r--",
        b"user::r--\ngroup::r--\nother::r--x",
        b"user::r--\nuser:ana:r--\ngroup::r--\nother::r--",
        b"user::r--\ngroup::r--\nother::r--\nmask::r--\nmask::r--",
        b"\x02\0\0\0\x04\0",
        b"\x02\0\0\0" + struct.pack("<HHI", 3, 4, 0),
        b"\x02\0\0\0" + struct.pack("<HHIHHI", 4, 8, 0, 32, 4, 0),
        b"user::r--\n" * 20_000,
        b"\x02\0\0\0" + struct.pack("<HHI", 8, 4, 0) * 20_000,
    ],
)
def test_a_list_that_is_none_allows_nothing(acl: bytes) -> None:
    """Nor does it raise."""
    with pytest.raises(ValueError, match=r"."):
        read_acl(acl)
    assert not reads(Access(0o444, 0, 27, acl))


def test_both_forms_of_a_list_say_the_same() -> None:
    """Text with names, and the kernel's with numbers."""
    entries = [(1, 6, 0), (2, 4, 1000), (4, 0, 0), (16, 4, 0), (32, 0, 0)]
    binary = b"\x02\0\0\0" + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    text = [(one.kind, one.name, one.bits) for one in read_acl(TEXT.replace(b"ana", b"1000"))]
    assert text == [(one.kind, one.name, one.bits) for one in read_acl(binary)]
    for acl in (TEXT, binary):
        assert reads(Access(0o640, 0, 0, acl))


def test_names_are_read_as_they_were_quoted() -> None:
    """By acl_to_text(3)."""
    name = r"D\134a\040b\303\251"
    acl = read_acl(f"user::---\nuser:{name}:r--\ngroup::---\nmask::r--\nother::---".encode())
    assert AclEntry("user", "D\\a bé", 4) in acl


def test_the_list_with_numbers_goes_before_the_one_with_names() -> None:
    """A name may be somebody else's by now."""
    binary, text = b"\x02\0\0\0", b"user::---"
    both = ((b"SCHILY.acl.access", text), (b"SCHILY.xattr.system.posix_acl_access", binary))
    assert find_acl(both) == binary
    assert find_acl(both[:1]) == text
    assert find_acl(()) == b""


def test_the_number_that_star_stores_beside_a_name_counts() -> None:
    """The name may be somebody else's by now."""
    for number, is_allowed in ((1000, True), (1001, False)):
        acl = f"user::---,user:ana:r--:{number},group::---,mask::r--,other::---"
        assert reads(Access(0, 0, 0, acl.encode())) is is_allowed


def test_a_user_whose_name_is_a_number_is_not_taken_for_that_uid() -> None:
    """An entry's digits are a uid."""
    odd = Asker(1000, "1001", (GROUPS,))
    acl = b"user::---\nuser:1001:r--\ngroup::---\nmask::r--\nother::---"
    assert not reads(Access(0, 0, 0, acl), odd)
