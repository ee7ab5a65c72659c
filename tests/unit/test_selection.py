"""What is taken out of which image; nothing that is wanted goes unsaid."""

from tests.unit.heads import make_head

from asyncamanda.core.restore.search import LEFT_OUT, UNCLEAR
from asyncamanda.core.restore.selection import TWICE, find, find_near, select

FULL = make_head({"": "Da Yb Nsecret", "a": "Yx Yy Dsub", "a/sub": "Yz"})
CHANGED = make_head(
    {"": "Dnew Nb Nsecret", "new": "Yx Ny Dsub Yown", "new/sub": "Nz"}, "a>new"
)  # tar dumps what is below a subfolder of a renamed one again; here it has not
HEADS = (FULL, CHANGED)


def test_all_is_taken_from_where_it_is() -> None:
    """Files by the names that they have there, folders by their own; the rest is missing."""
    selection = select(HEADS, [b""])
    assert selection.members == (
        {b"a/y": b"new/y", b"b": b"b"},
        {b"new/x": b"new/x", b"new/own": b"new/own"},
    )
    assert selection.folders == (b"", b"new", b"new/sub")
    assert dict(selection.missing).keys() == {b"secret", b"new/sub/z"}
    assert dict(selection.missing)[b"secret"] == LEFT_OUT
    assert selection.unmatched == ()


def test_a_folder_is_taken_with_all_below_and_a_file_alone() -> None:
    """Each once, though it is wanted twice."""
    selection = select(HEADS, [b"new/x", b"new/sub", b"new/sub/z", b"b", b"b"])
    assert selection.members == ({b"b": b"b"}, {b"new/x": b"new/x"})
    assert selection.folders == (b"new/sub",)
    assert select(HEADS, [b"new", b"new/x"]) == select(HEADS, [b"new"])


def test_what_was_not_there_is_told_with_names_that_are_like_it() -> None:
    """What only an older dump has is not there either."""
    selection = select(HEADS, [b"a/x", b"new/sbu", b"New", b"b"])
    assert selection.unmatched == (b"a/x", b"new/sbu", b"New")
    assert selection.near == {b"a/x": (b"new/x",), b"new/sbu": (b"new/sub",), b"New": (b"new",)}
    assert selection.members[0] == {b"b": b"b"}


def test_near_names_are_looked_for_of_a_few_only() -> None:
    """Of thousands of paths nobody reads them, and each takes a while."""
    selection = select(HEADS, [b"new/owm", *(b"new/%d" % n for n in range(999))])
    assert len(selection.unmatched) == 1000
    assert selection.near[b"new/owm"] == (b"new/own",)
    assert len(selection.near) <= 50


def test_near_names_are_those_beside_the_first_that_is_wrong() -> None:
    """Else the same name elsewhere, else none."""
    head = make_head({"": "Dsrc Ymain.c", "src": "Dcode", "src/code": "Ymain.c Yutil.c"})
    assert find_near(head, b"scr/code/main.c") == (b"src",)
    assert find_near(head, b"src/code/mian.c") == (b"src/code/main.c",)
    assert find_near(head, b"other/main.c") == (b"main.c", b"src/code/main.c")
    assert find_near(head, b"main.c/x/main.c") == (b"main.c",)
    assert find_near(head, b"zzz") == ()


def test_no_two_files_are_of_one_member() -> None:
    """Where tar's records say so they cannot be right, and neither is certain."""
    bad = make_head({"": "Dp Dq", "p": "Nx", "q": "Nx"}, "a>p a>q")
    full = make_head({"": "Da", "a": "Yx"})
    selection = select((full, bad), [b""])
    assert selection.members == ({}, {})
    assert {*selection.missing} <= {
        (path, reason) for path in (b"p/x", b"q/x") for reason in (TWICE, UNCLEAR)
    }
    assert len(selection.missing) == 2


def test_find_is_by_name_or_with_a_slash_by_path() -> None:
    """Below a folder, if only that is meant."""
    assert [*find(CHANGED, b"*")] == [
        (b"new", b"D"), (b"b", b"N"), (b"secret", b"N"), (b"new/x", b"Y"), (b"new/y", b"N"),
        (b"new/sub", b"D"), (b"new/own", b"Y"), (b"new/sub/z", b"N"),
    ]  # fmt: skip
    assert [*find(CHANGED, b"[xz]")] == [(b"new/x", b"Y"), (b"new/sub/z", b"N")]
    assert [*find(CHANGED, b"[xz]", b"new/sub")] == [(b"new/sub/z", b"N")]
    assert [*find(CHANGED, b"/new/*")] == [
        (b"new/x", b"Y"), (b"new/y", b"N"), (b"new/sub", b"D"), (b"new/sub/z", b"N"),
        (b"new/own", b"Y"),
    ]  # fmt: skip
    assert [*find(CHANGED, b"*/z", b"new")] == [(b"new/sub/z", b"N")]
