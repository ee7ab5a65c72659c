"""The server's stream of all, into one of what an ordinary user could have read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from asyncamanda.core.restore.archive import END, render_member
from asyncamanda.core.restore.handover import (
    IS_DEVICE,
    UNLISTED,
    UNREADABLE,
    Handover,
)
from asyncamanda.core.restore.image import BadImage, ImageParser
from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.ownership import NewOwner, make_own
from asyncamanda.core.restore.permission import Asker
from asyncamanda.core.restore.visible import TOP, Ways

ANA = Asker(1000, "ana", (frozenset({"1000", "27"}),))
OWNER = NewOwner(1000, 1000, b"ana", frozenset({1000, 27}))
ACL = b"user::rw-\nuser:bob:rw-\ngroup::r--\nmask::rw-\nother::---\n"


def member(
    path: bytes,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    kind: Kind = Kind.FILE,
    contents: bytes = b"",
    link: bytes = b"",
    attributes: tuple[tuple[bytes, bytes], ...] = (),
) -> Member:
    """Return a member as a parser would, its offsets aside."""
    size = len(contents)
    return Member(
        0, 0, size, 0, kind, path, link, mode, uid, gid, b"", b"", 0, size, attributes=attributes
    )


def folder(path: bytes, mode: int = 0o755, uid: int = 0) -> Member:
    """Return a folder."""
    return member(path, mode, uid, kind=Kind.FOLDER)


def render(members: Iterable[tuple[Member, bytes] | Member]) -> bytes:
    """Return a stream of members, some with contents."""
    stream = b""
    for each in members:
        one, contents = each if isinstance(each, tuple) else (each, b"")
        one = replace(one, stored=len(contents), size=len(contents))
        stream += render_member(one, one.path) + contents + bytes(-len(contents) % 512)
    return stream + END


def parse(stream: bytes) -> dict[bytes, tuple[Member, bytes]]:
    """Return the members of a stream, in its order, with their contents."""
    parser = ImageParser()
    found = parser.feed(0, stream)
    assert parser.is_ended or not stream.endswith(END)
    return {one.path: (one, stream[one.data : one.data + one.stored]) for one in found}


def begin(*wanted: bytes, skipped: int = 0, keeps_acls: bool = True) -> Handover:
    """Return a handover to ana."""
    ways = Ways(ANA, wanted, is_reachable=True, keeps_acls=keeps_acls)
    return Handover(ways, OWNER, wanted, skipped)


def hand_over(
    handover: Handover, members: Sequence[tuple[Member, bytes] | Member], piece: int = 1 << 20
) -> dict[bytes, tuple[Member, bytes]]:
    """Return what is handed over of `members`, which come in pieces of so many bytes."""
    stream, out = render(members), b""
    for at in range(0, len(stream), piece):
        out += b"".join(handover.feed(memoryview(stream)[at : at + piece]))
    assert handover.is_ended
    return parse(out + END)


TREE = (
    folder(TOP),
    folder(b"ana", 0o700, 1000),
    folder(b"bob", 0o700, 1001),
    folder(b"bob/open"),
    (member(b"ana/own", 0o600, 1000), b"mine"),
    (member(b"ana/roots", 0o600), b"secret"),
    (member(b"bob/open/all"), b"hidden"),
    (member(b"public"), b"for all" * 300),
)


@pytest.mark.parametrize("piece", [1, 100, 512, 700, 1 << 20])
def test_what_the_user_could_have_read_comes_with_its_bytes(piece: int) -> None:
    """And nothing else does, in whatever pieces the stream comes."""
    handover = begin(TOP)
    found = hand_over(handover, TREE, piece)
    contents = {path: what for path, (_, what) in found.items()}
    assert contents == {
        TOP: b"", b"ana": b"", b"bob": b"", b"ana/own": b"mine", b"public": b"for all" * 300,
    }  # fmt: skip
    assert (handover.files, handover.size) == (2, 4 + 2100)
    assert handover.missing == [(b"bob", UNLISTED), (b"ana/roots", UNREADABLE)]


def test_a_folder_whose_name_alone_is_known_does_not_come() -> None:
    """Its mode and time are not in the list that holds its name."""
    tree = (folder(TOP), folder(b"listed", 0o744), folder(b"listed/a"))
    handover = begin(TOP)
    assert list(hand_over(handover, tree)) == [TOP, b"listed"]
    assert handover.missing == [(b"listed/a", UNLISTED)]


def test_of_what_cannot_be_known_there_is_no_word() -> None:
    """As of what is not there."""
    handover = begin(b"bob/open/all", b"bob/open/none", b"public")
    found = hand_over(handover, TREE)
    assert set(found) == {b"public"}
    assert handover.missing == []
    assert handover.seen == {b"public"}


def test_folders_that_lead_to_a_file_come_with_it_and_not_alone() -> None:
    """A folder that is gone comes back, but not for what cannot be had."""
    tree = (folder(TOP), folder(b"a"), folder(b"a/b"), (member(b"a/b/x"), b"x"))
    assert list(hand_over(begin(b"a/b/x"), tree)) == [b"a", b"a/b", b"a/b/x"]
    assert list(hand_over(begin(b"a/b/y"), tree)) == []


def test_a_file_before_its_folder_is_out_of_reach() -> None:
    """Nobody knows who could have come to it."""
    tree = (folder(TOP), (member(b"a/x"), b"x"), folder(b"a"))
    assert b"a/x" not in hand_over(begin(TOP), tree)


def test_a_stream_without_the_disks_own_folder_gives_nothing() -> None:
    """As from a server that has not heard of owners."""
    assert hand_over(begin(TOP), (folder(b"a"), (member(b"a/x"), b"x"))) == {}


def test_a_link_goes_by_its_path_and_by_the_files_own_mode() -> None:
    """Its first name is handed over; one to a file that is another's is not."""
    tree = (
        folder(TOP),
        (member(b"first"), b"x"),
        (member(b"secret", 0o600), b"s"),
        member(b"second", kind=Kind.HARD_LINK, link=b"first"),
        member(b"way-in", 0o600, kind=Kind.HARD_LINK, link=b"secret"),
    )
    handover = begin(TOP)
    found = hand_over(handover, tree)
    assert found[b"second"][0].link == b"first"
    assert b"way-in" not in found
    assert handover.missing == [(b"secret", UNREADABLE), (b"way-in", UNREADABLE)]
    assert handover.links == []


def test_a_link_whose_first_name_is_out_of_reach_is_asked_for_by_itself() -> None:
    """The path decides, too: the user could have read it by the second name."""
    tree = (
        folder(TOP),
        folder(b"bob", 0o700, 1001),
        (member(b"bob/first"), b"x"),
        member(b"second", kind=Kind.HARD_LINK, link=b"bob/first"),
    )
    handover = begin(TOP)
    assert b"second" not in hand_over(handover, tree)
    assert handover.links == [b"second"]
    handover.begin()
    found = hand_over(handover, (folder(TOP), (member(b"second"), b"x")))
    assert {path: what for path, (_, what) in found.items()} == {b"second": b"x"}
    assert handover.files == 1


def test_a_link_out_of_what_was_asked_for_is_asked_for_by_itself() -> None:
    """Whatever the server has sent."""
    tree = (
        folder(TOP),
        (member(b"a"), b"x"),
        member(b"b", kind=Kind.HARD_LINK, link=b"a"),
    )
    handover = begin(b"b")
    assert hand_over(handover, tree) == {}
    assert handover.links == [b"b"]


def test_devices_are_for_root() -> None:
    """Named, if their names could be seen."""
    tree = (folder(TOP), member(b"sda", 0o666, kind=Kind.BLOCK))
    handover = begin(TOP)
    assert list(hand_over(handover, tree)) == [TOP]
    assert handover.missing == [(b"sda", IS_DEVICE)]


def test_symbolic_links_and_pipes_need_a_way_to_them() -> None:
    """A link has no mode of its own; a pipe has no contents."""
    tree = (
        folder(TOP),
        folder(b"listed", 0o744),
        member(b"link", 0o777, kind=Kind.SYMLINK, link=b"/etc/passwd"),
        member(b"pipe", 0o600, kind=Kind.FIFO),
        member(b"listed/link", 0o777, kind=Kind.SYMLINK, link=b"x"),
    )
    handover = begin(TOP)
    found = hand_over(handover, tree)
    assert set(found) == {TOP, b"listed", b"link", b"pipe"}
    assert found[b"link"][0].link == b"/etc/passwd"
    assert handover.missing == [(b"listed/link", UNREADABLE)]


def test_members_that_are_there_already_are_passed_over() -> None:
    """As many as the user says, of those that would come."""
    handover = begin(TOP, skipped=4)
    assert set(hand_over(handover, TREE)) == {b"public"}
    assert handover.files == 1


def test_a_broken_stream_is_refused() -> None:
    """And one that is cut off."""
    handover = begin(TOP)
    with pytest.raises(BadImage):
        list(handover.feed(memoryview(b"x" * 512)))
    cut = begin(TOP)
    list(cut.feed(memoryview(render(TREE))[:1024]))
    with pytest.raises(BadImage):
        cut.end()


# -- whose it is then


def test_all_is_the_users_without_bits_that_give_rights() -> None:
    """Neither set-uid nor set-gid nor sticky; owner and group of then are gone."""
    own = make_own(member(b"x", 0o7755, 1000, 1000), OWNER)
    assert (own.mode, own.uid, own.gid, own.owner, own.group) == (0o755, 1000, 1000, b"ana", b"")
    other = make_own(member(b"x", 0o6755), OWNER)
    assert (other.mode, other.uid, other.gid) == (0o755, 1000, 1000)


def test_a_group_that_the_user_is_in_stays() -> None:
    """With what it may do."""
    own = make_own(member(b"x", 0o640, 0, 27), OWNER)
    assert (own.mode, own.gid) == (0o640, 27)


@pytest.mark.parametrize(("before", "after"), [(0o660, 0o600), (0o674, 0o644), (0o607, 0o607)])
def test_another_group_may_do_no_more_than_all_others(before: int, after: int) -> None:
    """The user's own group may be everybody's."""
    own = make_own(member(b"x", before, 0, 50), OWNER)
    assert (own.mode, own.gid) == (after, 1000)


def test_attributes_of_the_user_s_stay_and_those_of_the_system_go() -> None:
    """Capabilities and labels are not the user's to have."""
    attributes = tuple(
        (b"SCHILY.xattr." + name, b"v")
        for name in (b"user.note", b"security.capability", b"trusted.x", b"system.x")
    )
    own = make_own(member(b"x", 0o600, 1000, 1000, attributes=attributes), OWNER)
    assert own.attributes == ((b"SCHILY.xattr.user.note", b"v"),)


def test_a_list_stays_on_what_was_the_users_own_and_no_other() -> None:
    """Where it goes the mode's group bits were its mask."""
    attributes = ((b"SCHILY.acl.access", ACL),)
    own = make_own(member(b"x", 0o660, 1000, 1000, attributes=attributes), OWNER)
    assert (own.mode, own.attributes) == (0o660, attributes)
    other = make_own(member(b"x", 0o660, 0, 27, attributes=attributes), OWNER)
    assert (other.mode, other.attributes) == (0o600, ())
