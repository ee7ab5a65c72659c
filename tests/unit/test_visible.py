"""Which names an ordinary user could have come to, folder by folder."""

from asyncamanda.core.restore.permission import Access, Asker
from asyncamanda.core.restore.visible import TOP, Ways

ANA = Asker(1000, "ana", (frozenset({"1000"}),))
OPEN, CLOSED = Access(0o755, 0, 0), Access(0o700, 0, 0)
ENTERED, LISTED = Access(0o711, 0, 0), Access(0o744, 0, 0)
PUBLIC, PRIVATE = Access(0o644, 0, 0), Access(0o600, 0, 0)


def look(*wanted: bytes, is_reachable: bool = True, top: Access = OPEN, **folders: Access) -> Ways:
    """Return the ways with the disk's folder and these, named as paths with _ for /."""
    ways = Ways(ANA, wanted, is_reachable=is_reachable, keeps_acls=True)
    ways.tell_folder(TOP, top)
    for name, access in folders.items():
        ways.tell_folder(name.replace("_", "/").encode(), access)
    return ways


def test_what_all_may_read_is_read() -> None:
    """And what only its owner may is not, though its name is known."""
    ways = look(TOP, a=OPEN)
    assert ways.may_read(b"a/x", PUBLIC)
    assert not ways.may_read(b"a/x", PRIVATE)
    assert ways.is_named(b"a/x")


def test_below_a_folder_that_cannot_be_entered_nothing_is_read() -> None:
    """However open what lies below is."""
    ways = look(TOP, b"a/b/x", a=CLOSED, a_b=OPEN)
    assert not ways.may_read(b"a/b/x", PUBLIC)
    assert not ways.is_named(b"a/b/x")
    assert ways.is_named(b"a")


def test_who_knows_a_name_needs_no_list() -> None:
    """A folder with x alone gives what is asked for by its name, and nothing else."""
    ways = look(b"a/x", a=ENTERED)
    assert ways.may_read(b"a/x", PUBLIC)
    assert not ways.may_read(b"a/y", PUBLIC)
    above = look(b"a", a=ENTERED)
    assert not above.may_read(b"a/x", PUBLIC)
    assert not above.is_named(b"a/x")


def test_below_a_name_that_is_known_all_has_to_be_listed() -> None:
    """From the folder that was named on, and not above it."""
    ways = look(b"a/b", a=ENTERED, a_b=OPEN, a_b_c=OPEN, a_b_d=ENTERED)
    assert ways.may_read(b"a/b/c/x", PUBLIC)
    assert not ways.may_read(b"a/b/d/x", PUBLIC)
    assert ways.is_named(b"a/b/d")


def test_the_nearest_of_several_wanted_folders_counts() -> None:
    """Naming one above does not take away what naming one below gives."""
    ways = look(TOP, b"a/b", a=ENTERED, a_b=OPEN)
    assert ways.may_read(b"a/b/x", PUBLIC)
    assert not ways.may_read(b"a/x", PUBLIC)


def test_names_in_a_folder_without_x_are_known_and_no_more() -> None:
    """As `ls` shows them, with question marks."""
    ways = look(TOP, a=LISTED)
    assert ways.is_named(b"a/x")
    assert not ways.may_read(b"a/x", PUBLIC)
    assert not ways.is_named(b"a/b/x")


def test_what_was_not_asked_for_is_nobodys_business() -> None:
    """The server may have sent it anyway."""
    ways = look(b"b", a=OPEN, b=OPEN)
    assert not ways.is_named(b"a/x")
    assert not ways.may_read(b"a/x", PUBLIC)
    assert ways.may_read(b"b/x", PUBLIC)


def test_names_that_begin_alike_are_not_below_each_other() -> None:
    """A path goes by its parts."""
    ways = look(b"a", a=OPEN, ab=OPEN)
    assert not ways.is_named(b"ab")
    assert not ways.is_named(b"ab/x")


def test_a_folder_that_was_not_told_is_closed() -> None:
    """And so is all below it, whatever that is."""
    ways = look(TOP, a_b=OPEN)
    assert not ways.is_named(b"a/b")
    assert not ways.may_read(b"a/b/x", PUBLIC)
    assert not ways.is_listable(b"a")


def test_what_was_told_first_stays() -> None:
    """A second header does not open a folder."""
    ways = look(TOP, a=CLOSED)
    ways.tell_folder(b"a", OPEN)
    assert not ways.may_read(b"a/x", PUBLIC)


def test_what_lies_above_the_disk_counts() -> None:
    """Somebody else's home, with a disk in it."""
    ways = look(TOP, b"a/x", is_reachable=False, a=OPEN)
    assert not ways.is_named(TOP)
    assert not ways.may_read(b"a/x", PUBLIC)


def test_the_disks_own_folder_counts() -> None:
    """Like any other."""
    assert look(b"x", top=ENTERED).may_read(b"x", PUBLIC)
    assert not look(TOP, top=ENTERED).may_read(b"x", PUBLIC)
    assert not look(b"x", top=LISTED).may_read(b"x", PUBLIC)


def test_a_name_near_one_that_is_not_there_is_shown_only_if_it_could_be_listed() -> None:
    """Whatever was asked for."""
    ways = look(b"a/wrong", b"b/wrong", a=OPEN, b=ENTERED)
    assert ways.is_shown(b"a/right")
    assert not ways.is_shown(b"b/right")
    assert not ways.is_shown(b"c/right")
