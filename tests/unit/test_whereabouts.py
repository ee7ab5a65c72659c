"""Which disk a path is on, and where what comes back is to lie."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from asyncamanda.core.restore.whereabouts import (
    Layout,
    common_folder,
    find_disks,
    join,
    name_folder,
    normalize,
    plan_layout,
    relate,
)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as the server names it."""

    disk: str
    device: str


ROOT, HOME, ANNA, PHOTOS = (
    Disk("/", "/"),
    Disk("/home", "/home"),
    Disk("anna", "/home/anna/"),
    Disk("photos", "/home"),
)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"/a/b", b"/a/b"),
        (b"/a//b/", b"/a/b"),
        (b"/a/./b/../c", b"/a/c"),
        (b"/../..", b"/"),
        (b"/", b"/"),
    ],
)
def test_a_path_has_one_shortest_form(path: bytes, wanted: bytes) -> None:
    """Without dots and doubled slashes."""
    assert normalize(path) == wanted


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        ([b"/home/anna/x"], [("anna", b"x")]),
        ([b"/home/anna"], [("anna", b"")]),
        ([b"/home/annabel"], [("/home", b"annabel"), ("photos", b"annabel")]),
        ([b"/etc/passwd"], [("/", b"etc/passwd")]),
        ([b"/"], [("/", b"")]),
        ([b"/data/anna/x", b"/home/anna/x"], [("anna", b"x"), ("/", b"data/anna/x")]),
        (
            [b"/srv/x", b"/home/bert/x"],
            [("/home", b"bert/x"), ("photos", b"bert/x"), ("/", b"srv/x")],
        ),
        ([b"/srv/x", b"/mnt/x"], [("/", b"srv/x"), ("/", b"mnt/x")]),
    ],
)
def test_the_longest_device_has_a_path(paths: list[bytes], wanted: list[tuple[str, bytes]]) -> None:
    """By whole names; two disks of one device are both named, that of its name first."""
    found = find_disks(paths, [PHOTOS, ROOT, HOME, ANNA])
    assert [(disk.disk, path) for disk, path in found] == wanted


def test_a_path_on_no_disk_is_on_none() -> None:
    """And a device that is not a path has none."""
    assert find_disks([b"/etc"], [HOME, Disk("sda1", "sda1")]) == []


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        ([b"/home/anna/x"], b"/home/anna"),
        ([b"/home/anna/x", b"/home/anna/y/z"], b"/home/anna"),
        ([b"/home/anna/x", b"/home/bert/x"], b"/home"),
        ([b"/home", b"/srv"], b"/"),
        ([b"/home"], b"/"),
        ([b"/"], b"/"),
        ([b"/a/b", b"/a/b/c"], b"/a"),
    ],
)
def test_what_is_above_all_is_left_out(paths: list[bytes], wanted: bytes) -> None:
    """The deepest folder that has all of it."""
    assert common_folder(paths) == wanted


@pytest.mark.parametrize(
    ("folder", "wanted", "places"),
    [
        (b"/home", [b"anna/x"], {b"anna/x": b"x"}),
        (b"/home", [b"anna/x", b"bert"], {b"anna/x": b"anna/x", b"bert/y": b"bert/y"}),
        (b"/home", [b""], {b"": b"home", b"anna": b"home/anna"}),
        (b"/", [b""], {b"": None, b"etc": b"etc"}),
        (b"/", [b"etc"], {b"etc": b"etc", b"etc/x": b"etc/x"}),
        (None, [b"a/b"], {b"a/b": b"b", b"a/b/c": b"b/c"}),
    ],
)
def test_each_path_has_its_place(
    folder: bytes | None, wanted: list[bytes], places: dict[bytes, bytes | None]
) -> None:
    """Below the folder that is above all of them."""
    base = common_folder(join(folder or b"/", path) for path in wanted)
    layout = plan_layout(folder, wanted, base)
    found = {path: layout.place(path, is_folder=False) for path in places if path}
    assert found == {path: place for path, place in places.items() if path}
    if b"" in places:
        assert layout.place(b"", is_folder=True) == places[b""]


def test_two_disks_lie_side_by_side() -> None:
    """Each by its device."""
    wanted = {b"/home": [b""], b"/srv/www": [b"x", b"y"]}
    base = common_folder(join(top, path) for top, paths in wanted.items() for path in paths)
    layouts = {top: plan_layout(top, paths, base) for top, paths in wanted.items()}
    assert layouts[b"/home"].place(b"anna", is_folder=False) == b"home/anna"
    assert layouts[b"/srv/www"].place(b"x", is_folder=False) == b"srv/www/x"


@pytest.mark.parametrize("path", [b"other", b"a", b"a/bc", b"", b"a/b2/c"])
def test_what_nobody_asked_for_has_no_place(path: bytes) -> None:
    """A file above or beside what is wanted."""
    layout = plan_layout(b"/home", [b"a/b"], b"/home/a")
    with pytest.raises(ValueError, match="was not asked for"):
        layout.place(path, is_folder=False)


def test_folders_above_what_is_wanted_are_passed_over() -> None:
    """In a new folder they are not there; in place they are what they are."""
    layout = plan_layout(b"/home", [b"a/b/c"], b"/home/a/b")
    assert [layout.place(path, is_folder=True) for path in (b"", b"a", b"a/b")] == [None] * 3
    in_place = Layout(frozenset({b"a/b/c"}))
    assert in_place.place(b"a/b", is_folder=True) == b"a/b"
    with pytest.raises(ValueError, match="not asked for"):
        layout.place(b"a/x", is_folder=True)


@pytest.mark.parametrize(
    ("path", "folder", "wanted"),
    [
        (b"/a/b", b"/a", b"b"),
        (b"/a", b"/a", b""),
        (b"/a/b", b"/", b"a/b"),
        (b"/ab", b"/a", None),
        (b"/a", b"/a/b", None),
    ],
)
def test_a_path_is_below_a_folder_by_whole_names(
    path: bytes, folder: bytes, wanted: bytes | None
) -> None:
    """And joined again it is the same."""
    assert relate(path, folder) == wanted
    if wanted is not None:
        assert join(folder, wanted) == path


def test_a_new_folder_has_a_name_that_nobody_has() -> None:
    """By host and date, with a number if there is one already."""
    taken: set[str] = set()
    for wanted in ("", "-2", "-3"):
        name = name_folder("lap/top", "2026-11-20", taken.__contains__)
        assert name == f"restored-lap_top-2026-11-20{wanted}"
        taken.add(name)
