"""Whatever a server sends: nothing that the user could not have read, and no other error."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from asyncamanda.core.restore.access_list import read_acl
from asyncamanda.core.restore.archive import END, render_member
from asyncamanda.core.restore.handover import Handover
from asyncamanda.core.restore.image import BadImage, ImageParser
from asyncamanda.core.restore.listing_filter import ListingFilter
from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.ownership import NewOwner
from asyncamanda.core.restore.permission import Access, Asker, may_enter, may_read
from asyncamanda.core.restore.visible import Ways

ANA = Asker(1000, "ana", (frozenset({"1000", "27"}),))
OWNER = NewOwner(1000, 1000, b"ana", frozenset({1000, 27}))
NAMES = st.sampled_from([b"a", b"b", b"c"])
PATHS = st.lists(NAMES, max_size=3).map(b"/".join)
IDS = st.sampled_from([0, 27, 50, 1000, 1001])
MODES = st.integers(0, 0o7777)


@st.composite
def members(draw: st.DrawFn) -> Member:
    """Draw a member; files have no contents."""
    kind = draw(st.sampled_from([Kind.FOLDER, Kind.FOLDER, Kind.FILE, Kind.FILE, *Kind]))
    path = draw(PATHS)
    if not path and kind is not Kind.FOLDER:
        path = b"a"
    link = b"x" if kind is Kind.SYMLINK else draw(NAMES) if kind is Kind.HARD_LINK else b""
    mode, uid, gid = draw(MODES), draw(IDS), draw(IDS)
    return Member(0, 0, 0, 0, kind, path, link, mode, uid, gid, b"", b"", 0, 0)


def could_reach(path: bytes, folders: dict[bytes, Member], *, keeps_acls: bool) -> bool:
    """Return whether ana could enter all folders above a path."""
    while path:
        path = path.rpartition(b"/")[0]
        one = folders.get(path)
        if one is None:
            return False
        if not may_enter(Access(one.mode, one.uid, one.gid), ANA, keeps_acls=keeps_acls):
            return False
    return True


@given(st.lists(members(), max_size=12), st.lists(PATHS, min_size=1, max_size=2), st.booleans())
def test_no_order_and_no_links_give_a_user_what_it_could_not_read(
    sent: list[Member], wanted: list[bytes], keeps_acls: bool
) -> None:
    """Each file that is handed over has a header that allows it, and a way that is open."""
    ways = Ways(ANA, wanted, is_reachable=True, keeps_acls=keeps_acls)
    handover = Handover(ways, OWNER, wanted)
    stream = b"".join(render_member(one, one.path) for one in sent) + END
    out = b"".join(handover.feed(memoryview(stream)))
    folders: dict[bytes, Member] = {}
    for one in sent:
        if one.kind is Kind.FOLDER:
            folders.setdefault(one.path, one)
    handed: set[bytes] = set()
    for own in ImageParser().feed(0, out + END):
        assert (own.uid, own.mode & 0o7000) == (1000, 0)
        assert own.kind not in {Kind.BLOCK, Kind.CHARACTER}
        assert could_reach(own.path, folders, keeps_acls=keeps_acls)
        if own.kind is Kind.FILE:
            access = [Access(one.mode, one.uid, one.gid) for one in sent if one.path == own.path]
            assert any(may_read(one, ANA, keeps_acls=keeps_acls) for one in access)
            assert any(
                not each or own.path == each or own.path.startswith(each + b"/") for each in wanted
            )
        handed.add(own.path)


@given(st.binary(max_size=2000))
def test_no_bytes_raise_anything_but_that_they_are_no_stream(stream: bytes) -> None:
    """Nor is anything handed over of them."""
    ways = Ways(ANA, [b""], is_reachable=True, keeps_acls=True)
    handover = Handover(ways, OWNER, [b""])
    with suppress(BadImage):
        assert b"".join(handover.feed(memoryview(stream))) == b""


@given(st.lists(st.binary(max_size=40).map(lambda each: each.replace(b"\0", b":")), max_size=8))
def test_no_bytes_raise_anything_but_that_they_are_no_list(records: list[bytes]) -> None:
    """ValueError, that is."""
    ways = Ways(ANA, [b""], is_reachable=True, keeps_acls=True)
    with suppress(ValueError):
        for record in ListingFilter(ways, [b""]).feed(b"\0".join([*records, b""])):
            assert record.endswith(b"\0")


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(b"\2\0\0\0".__add__)))
def test_no_bytes_are_a_list_that_raises(value: bytes) -> None:
    """What is no whole list allows nothing to others than the owner."""
    try:
        read_acl(value)
    except ValueError:
        if value:
            assert not may_read(Access(0o777, 0, 27, value), ANA, keeps_acls=False)
