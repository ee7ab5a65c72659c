"""Where a file's bytes are, by what tar recorded.

The real one is in tests/system/test_restore_histories.py.
"""

import pytest
from tests.unit.heads import make_head

from asyncamanda.core.restore.descent import Descent, Origin
from asyncamanda.core.restore.head import Head
from asyncamanda.core.restore.search import (
    IS_FOLDER,
    LEFT_OUT,
    NOT_THERE,
    NOWHERE,
    UNCLEAR,
    Located,
    Unlocated,
    locate,
)

FULL = make_head({"": "Da Db Yf Nout", "a": "Yf Yg", "b": "Yf"})


def test_a_file_is_in_the_newest_image_that_has_it() -> None:
    """Flag by flag, back to the full."""
    heads = [
        FULL,
        make_head({"": "Da Db Nf", "a": "Yf Ng", "b": "Nf"}),
        make_head({"": "Da Db Nf", "a": "Nf Yg", "b": "Nf"}),
    ]
    assert locate(heads, b"a/f") == Located(1, b"a/f")
    assert locate(heads, b"a/g") == Located(2, b"a/g")
    assert locate(heads, b"b/f") == Located(0, b"b/f")
    assert locate(heads, b"f") == Located(0, b"f")
    assert locate(heads[:1], b"f") == Located(0, b"f")


def test_what_is_in_no_image_is_told_with_the_reason() -> None:
    """It was not there, is a folder, was excluded, or no dump has it."""
    heads = [FULL, make_head({"": "Da Db Nout Nx Dc", "a": "Nx", "b": "", "c": "Nf"})]
    assert locate(heads, b"a/none") == locate(heads, b"f") == Unlocated(NOT_THERE)
    assert locate(heads, b"a") == locate(heads, b"") == Unlocated(IS_FOLDER)
    assert locate(heads, b"out") == locate(heads[:1], b"out") == Unlocated(LEFT_OUT)
    assert locate(heads, b"a/x") == locate(heads, b"x") == locate(heads, b"c/f")
    assert locate(heads, b"x") == Unlocated(NOWHERE)


def test_a_renamed_folders_files_are_found_under_its_old_name() -> None:
    """Also where it was renamed once more at the next dump."""
    heads = [
        FULL,
        make_head({"": "Dc Db Nf", "b": "Nf", "c": "Nf Yh"}, "a>c"),
        make_head({"": "Db Nf", "b": "Nf Dd", "b/d": "Nf Nh"}, "c>b/d"),
    ]
    assert locate(heads, b"b/d/f") == Located(0, b"a/f")
    assert locate(heads, b"b/d/h") == Located(1, b"c/h")
    assert locate(heads, b"b/f") == Located(0, b"b/f")


def test_a_record_has_a_name_that_a_later_rename_made() -> None:
    """The child was moved out first, then its parent renamed: tar calls it by the new name."""
    heads = [
        make_head({"": "Da", "a": "Db Yg", "a/b": "Yf"}),
        make_head({"": "Dc Dd", "c": "Nf", "d": "Ng"}, "d/b>c a>d"),
    ]
    assert locate(heads, b"c/f") == Located(0, b"a/b/f")
    assert locate(heads, b"d/g") == Located(0, b"a/g")


EXCHANGED = make_head({"": "Da Db Nf", "a": "Nf", "b": "Nf Ng"}, "a>b b>a")
STILL = make_head({"": "Da Db Nf", "a": "Nf", "b": "Nf Yg"}, "a>b b>a")


def test_an_exchange_is_undone_once_though_it_is_recorded_ever_after() -> None:
    """tar's snapshot keeps the old inodes of names that it had; nothing has moved since."""
    assert locate([FULL, EXCHANGED], b"a/f") == Located(0, b"b/f")
    assert locate([FULL, EXCHANGED], b"b/f") == Located(0, b"a/f")
    assert locate([FULL, EXCHANGED, STILL], b"a/f") == Located(0, b"b/f")
    assert locate([FULL, EXCHANGED, STILL, STILL], b"b/f") == Located(0, b"a/f")
    assert locate([FULL, EXCHANGED, STILL], b"b/g") == Located(2, b"b/g")


def test_an_exchange_back_leaves_no_record() -> None:
    """So where there is none, they have been exchanged."""
    back = make_head({"": "Da Db Nf", "a": "Nf", "b": "Nf"})
    assert locate([FULL, EXCHANGED, back], b"a/f") == Located(0, b"a/f")
    assert locate([FULL, EXCHANGED, back], b"b/f") == Located(0, b"b/f")


def test_an_exchange_counts_only_if_the_folders_times_went_with_it() -> None:
    """Where inodes are not what they should be, as on FAT, folders only seem to be exchanged."""
    full = {"": "Da Db Dc", "a": "Yf", "b": "Yf", "c": "Yf"}
    lists = {"": "Da Db Dd", "a": "Nf", "b": "Nf", "d": "Nf"}
    heads = [
        make_head(full, "", {"a": 5, "b": 6, "c": 7}),
        make_head(lists, "a>b b>a c>d", {"a": 6, "b": 9, "d": 9}),
        make_head(lists, "a>b b>a", {"a": 10, "b": 6, "d": 9}),
    ]
    assert locate(heads[:2], b"a/f") == Located(0, b"b/f")
    assert locate(heads[:2], b"b/f") == Unlocated(UNCLEAR)  # it was changed, or is still itself
    assert locate(heads[:2], b"d/f") == Located(0, b"c/f")  # it has a new name
    assert locate(heads, b"a/f") == Located(0, b"b/f")  # nothing has moved since
    kept = make_head({"": "Da Db", "a": "Nf", "b": "Nf"}, "b>a", {"a": 6})
    assert locate([heads[0], kept], b"a/f") == Located(0, b"b/f")
    still = make_head(full | {"a": "Nf", "b": "Nf", "c": "Nf"}, "c>a", {"a": 5, "b": 6, "c": 7})
    assert locate([heads[0], still], b"a/f") == Unlocated(UNCLEAR)
    back = make_head(lists, "", {"a": 6, "b": 9, "d": 9})  # without a record, so exchanged again
    assert locate([*heads[:2], back], b"a/f") == Unlocated(UNCLEAR)


def test_a_folder_that_moved_while_tar_was_at_work_spoils_nothing_else() -> None:
    """tar lists it twice, and records that it was renamed from what it had just met."""
    full = make_head({"": "Da Db Dc", "a": "Yf", "b": "Dx", "b/x": "Yf", "c": "Yf"})
    head = make_head(
        {"": "Da Db Dc", "a": "Nf Dnew Dx", "a/new": "Yf", "a/x": "Nf", "b": "Dx Dnew",
         "b/x": "Nf", "b/new": "Nf", "c": "Nf"},
        "b/x>a/x a/new>b/new",
    )  # fmt: skip
    assert locate([full, head], b"a/f") == Located(0, b"a/f")
    assert locate([full, head], b"c/f") == Located(0, b"c/f")
    assert locate([full, head], b"a/x/f") == Located(0, b"b/x/f")
    assert locate([full, head], b"b/new/f") == Unlocated(NOWHERE)


def test_a_folder_below_a_renamed_one_may_be_one_of_two() -> None:
    """Both had a list, and tar says nothing: a file that both had is not clear."""
    full = make_head({"": "Dx Dy", "x": "Ds", "x/s": "Yf Yg", "y": "Ds", "y/s": "Yf Yh"})
    heads = [full, make_head({"": "Dy", "y": "Ds", "y/s": "Nf Ng Nh"}, "x>y")]
    assert Descent(heads).origins(1, b"y/s") == frozenset(
        {Origin(b"y/s", b"x/s"), Origin(b"y/s", b"y/s")}
    )
    assert locate(heads, b"y/s/f") == Unlocated(UNCLEAR)
    assert locate(heads, b"y/s/h") == Located(0, b"y/s/h")
    assert locate(heads, b"y/s/g") == Unlocated(NOWHERE)  # tar would have flagged it Y


def test_a_folder_that_was_left_out_is_not_taken_for_a_file() -> None:
    """Its name was a folder's in the snapshot, and a file's in the folder that is there now."""
    full = make_head({"": "Da Db", "a": "Ds", "a/s": "Yf", "b": "Ys"})
    heads = [full, make_head({"": "Da Db", "a": "Ns", "b": "Dx"}, "a>b b>a")]
    assert locate(heads, b"a/s") == Unlocated(UNCLEAR)


def test_one_folder_cannot_have_become_two() -> None:
    """So records that say so are not believed, of whatever."""
    heads = [
        make_head({"": "Da Dc", "a": "Yf", "c": "Yf"}),
        make_head({"": "Dp Dq Dc", "p": "Nf", "q": "Nf", "c": "Nf"}, "a>p a>q"),
    ]
    assert {locate(heads, path) for path in (b"p/f", b"q/f", b"c/f")} == {Unlocated(UNCLEAR)}


@pytest.mark.parametrize(
    "renames",
    ["none>a", "a>none", "a>b/c/d", "a>a b>a", "b>a none>b", "a>. .>a", "a>a/x", "a/f>a"],
)
def test_records_that_cannot_be_leave_what_is_unchanged_unclear(renames: str) -> None:
    """Whoever wrote them; what the image has itself is found."""
    heads = [FULL, make_head({"": "Da Db Yf", "a": "Nf", "b": "Nf"}, renames)]
    assert isinstance(locate(heads, b"a/f"), Unlocated)
    assert locate(heads, b"f") == Located(1, b"f")


def test_so_many_renames_that_nobody_could_tell_are_given_up_in_time() -> None:
    """Names that each of hundreds of renames may have made of any other."""
    names = [f"d{number}" for number in range(300)]
    renames = " ".join(f"{one}>{other}/{one}" for one in names for other in names[:3])
    folders = {"": " ".join(f"D{name}" for name in names)} | dict.fromkeys(names, "Nf")
    full = make_head({"": folders[""]} | dict.fromkeys(names, "Yf"))
    assert locate([full, make_head(folders, renames)], b"d7/f") == Unlocated(UNCLEAR)


def test_a_million_names_below_a_renamed_folder_take_no_more_than_others() -> None:
    """What a folder was is worked out once."""
    many = " ".join(f"f{number}" for number in range(1000))
    full = make_head({"": "Da", "a": "Y" + many.replace(" ", " Y")})
    head = make_head({"": "Db", "b": "N" + many.replace(" ", " N")}, "a>b")
    heads: list[Head] = [full, head]
    assert all(locate(heads, path) == Located(0, b"a" + path[1:]) for path in (b"b/f0", b"b/f999"))
