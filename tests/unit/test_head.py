"""The head of an image: the whole listing, in little memory, and no name that is none."""

import pytest
from tests.unit.heads import make_folder, make_head

from asyncamanda.core.restore.head import Head, find_folder
from asyncamanda.core.restore.image import BadImage

TREE = make_head(
    {
        "": "Da Yb Nc Dd",
        "a": "Ya1 Da2 Na3",
        "a/a2": "Nx",
        "d": "",
    }
)


def test_a_folder_has_its_names_and_their_flags_in_order() -> None:
    """As tar wrote them; a folder that is not there has none."""
    assert [*TREE.entries(b"a")] == [(b"a1", b"Y"), (b"a2", b"D"), (b"a3", b"N")]
    assert [*TREE.entries(b"")] == [(b"a", b"D"), (b"b", b"Y"), (b"c", b"N"), (b"d", b"D")]
    assert [*TREE.entries(b"d")] == [*TREE.entries(b"a2")] == []


def test_each_path_has_a_flag() -> None:
    """And what was not there has none, however alike its name."""
    flags = {path: TREE.flag(path) for path in (b"", b"a", b"b", b"c", b"a/a1", b"a/a2/x")}
    assert flags == {
        b"": b"D", b"a": b"D", b"b": b"Y", b"c": b"N", b"a/a1": b"Y", b"a/a2/x": b"N",
    }  # fmt: skip
    assert {TREE.flag(path) for path in (b"a1", b"a/1", b"a/a", b"x/y", b"b/c", b"Yb")} == {None}


def test_all_is_walked_depth_first() -> None:
    """Below the disk's folder, or below any other one."""
    assert b" ".join(path for path, _ in TREE.walk()) == b"a a/a1 a/a2 a/a2/x a/a3 b c d"
    assert [*TREE.walk(b"a/a2")] == [(b"a/a2/x", b"N")]
    assert [*TREE.walk(b"d")] == [*TREE.walk(b"nothing")] == []


def test_a_folder_that_has_no_list_is_listed() -> None:
    """It vanished while tar looked at it."""
    head = make_head({"": "Dgone Yf"})
    assert [*head.walk()] == [(b"gone", b"D"), (b"f", b"Y")]
    assert head.flag(b"gone") == b"D"
    assert b"gone" not in head


def test_some_folders_alone_are_below_the_disk() -> None:
    """As where the disklist includes some only: there is no list of the disk's folder then."""
    head = make_head({"srv/a": "Yf", "srv/a/b": "", "srv/c": "Dd", "srv/c/d": "Ng"})
    assert [*head.topmost()] == [b"srv/a", b"srv/c"]
    assert b" ".join(path for path, _ in head.walk()) == b"srv/a srv/a/f srv/c srv/c/d srv/c/d/g"
    assert head.flag(b"srv/a") == b"D"
    assert head.flag(b"srv") is None


def test_a_list_longer_than_is_taken_apart_at_once_is_whole() -> None:
    """Wherever the pieces end."""
    names = [b"%05d" % number * (1 + number % 7) for number in range(20_000)]
    head = Head()
    head.add(make_folder(b"", b"".join(b"Y" + name + b"\0" for name in names)))
    assert [name for name, _ in head.entries(b"")] == names
    long_name = b"n" * 100_000
    head.add(make_folder(b"long", b"Y" + long_name + b"\0Na\0"))
    assert [*head.entries(b"long")] == [(long_name, b"Y"), (b"a", b"N")]


def test_many_folders_are_found_each() -> None:
    """By an index that grows."""
    head = Head()
    for number in range(3000):
        head.add(make_folder(b"f%d" % number, b"Yx%d\0" % number))
    assert len(head) == 3000
    assert all(
        [*head.entries(b"f%d" % number)] == [(b"x%d" % number, b"Y")] for number in range(3000)
    )
    assert head.folders[b"f7"] == b"Yx7\0"
    assert [*head.folders][:2] == [b"f0", b"f1"]
    assert b"f3000" not in head.folders


@pytest.mark.parametrize(
    "dumpdir",
    [b"Ya", b"Ya\0R./b\0T./c",
     b"Y\0", b"Y.\0", b"D..\0", b"Ya/b\0", b"Zx\0", b"x\0", b"Ya\0\0Yb\0", b"Ya\0R./b\0T./c\0Nd\0",
     b"R./a/b\0T./c/../d\0", b"R./a\0", b"T./a\0", b"R./a\0R./b\0T./c\0", b"R\0T./a\0",
     b"R./a\0T\0",
     b"R./a\0T\0R./b\0T\0", b"R/a\0T./b\0", b"R./a\0T./b//c\0", b"Ya\0Q\0"],
)  # fmt: skip
def test_a_list_that_tar_would_not_write_is_refused(dumpdir: bytes) -> None:
    """A name with a slash would lead out of the folder."""
    with pytest.raises(BadImage):
        Head().add(make_folder(b"", dumpdir))


def test_a_folder_twice_is_refused() -> None:
    """Which of its lists would count?"""
    head = make_head({"": "Da", "a": ""})
    with pytest.raises(BadImage, match="twice"):
        head.add(make_folder(b"a", b""))


def test_renames_are_kept_with_their_detours_joined() -> None:
    """Each once; the folder's list is without them."""
    head = Head()
    records = b"R./o\0T./p\0X.\0R./b\0T\0R./a\0T./b\0R\0T./a\0R./o\0T./p\0R.\0T./deep/er\0"
    head.add(make_folder(b"", b"Dx\0" + records))
    assert head.renames == (
        (b"o", b"p"), (b"a", b"b"), (b"b", b"a"), (b"", b"deep/er"),
    )  # fmt: skip
    assert [*head.entries(b"")] == [(b"x", b"D")]
    with pytest.raises(BadImage, match="two folders"):
        head.add(make_folder(b"b", b"R./o\0T./p\0"))


def test_the_end_is_that_of_the_last_folder() -> None:
    """Where files begin; and a folder of a plain archive says nothing."""
    head = make_head({"": "Da", "a": ""})
    assert head.end == 1024
    head.add(make_folder(b"b", None))
    assert b"b" not in head


def test_one_folder_is_found_without_keeping_others() -> None:
    """Nor is more read than has to be."""
    members = iter([make_folder(name, b"Y" + name + b"\0") for name in (b"a", b"b", b"c")])
    head = find_folder(members, b"b")
    assert [*head.folders] == [b"b"]
    assert [*head.entries(b"b")] == [(b"b", b"Y")]
    assert next(members).path == b"c"
    assert len(find_folder([], b"b")) == 0
