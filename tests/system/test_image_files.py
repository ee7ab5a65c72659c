"""Whole images on the disk: received in a hidden folder, and what is there is never replaced."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncamanda.client.restore.image_files import ImageFolder, open_image_folder
from asyncamanda.errors import AsyncamandaError, BadDataError, HeldError, RefusedError, UsageError

RUN = "20261120020000"


def hidden(target: Path) -> Path:
    """Return the folder in which what is to be `target` is received."""
    return target.parent / f".{target.name}.{RUN}.asyncamanda-image"


def receive(folder: ImageFolder, level: int, piece: bytes, *, is_whole: bool = True) -> None:
    """Let a piece of an image come."""
    descriptor = folder.begin(level)
    os.write(descriptor, piece)
    folder.end(level, descriptor, is_whole=is_whole)


def test_an_image_is_gone_on_with_and_put_in_its_place(tmp_path: Path) -> None:
    """From where it was cut; what was never synced is begun again."""
    target = tmp_path / "image"
    folder = open_image_folder(target, RUN, is_resumed=False)
    receive(folder, 0, b"one ", is_whole=False)
    folder.close()
    (hidden(target) / "0.img.part").write_bytes(b"\0" * 100)
    folder = open_image_folder(target, RUN, is_resumed=True)
    assert (folder.find_size(0), folder.is_whole(0)) == (4, False)
    receive(folder, 0, b"image")
    assert (folder.find_size(0), folder.is_whole(0)) == (9, True)
    folder.place_file(0)
    folder.close()
    assert target.read_bytes() == b"one image"
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


def test_without_resuming_nothing_of_an_earlier_start_counts(tmp_path: Path) -> None:
    """It may be damaged."""
    folder = open_image_folder(tmp_path / "image", RUN, is_resumed=False)
    receive(folder, 0, b"old")
    folder.close()
    folder = open_image_folder(tmp_path / "image", RUN, is_resumed=False)
    assert (folder.find_size(0), folder.is_whole(0)) == (0, False)
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_where_a_file_system_has_no_links_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a USB stick; what is there is not replaced there either."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "image"
    folder = open_image_folder(target, RUN, is_resumed=False)
    receive(folder, 0, b"image")
    target.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already"):
        folder.place_file(0)
    assert target.read_bytes() == b"mine"
    target.unlink()
    folder.place_file(0)
    folder.close()
    assert target.read_bytes() == b"image"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["image"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_folder_of_images_replaces_nothing(tmp_path: Path, kind: str) -> None:
    """What has come stays where it is."""
    target = tmp_path / "images"
    folder = open_image_folder(target, RUN, is_resumed=False)
    receive(folder, 0, b"image")
    if kind == "file":
        target.write_bytes(b"mine")
    else:
        target.mkdir()
        (target / "mine").touch()
    with pytest.raises(UsageError, match="is there already"):
        folder.place_folder()
    folder.close()
    assert (hidden(target) / "0.img").read_bytes() == b"image"


def test_two_do_not_receive_the_same_images(tmp_path: Path) -> None:
    """The second waits for nothing."""
    folder = open_image_folder(tmp_path / "image", RUN, is_resumed=False)
    for is_resumed in (True, False):
        with pytest.raises(HeldError, match="goes on"):
            open_image_folder(tmp_path / "image", RUN, is_resumed=is_resumed)
    folder.close()


def make_open(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def make_link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir(mode=0o700)
    path.symlink_to("elsewhere")


def make_file(path: Path) -> None:
    path.touch(mode=0o600)


@pytest.mark.parametrize("make", [make_open, make_link, make_file])
def test_a_folder_that_others_may_write_is_not_used(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """Nor is a link followed, to go on or to begin."""
    make(hidden(tmp_path / "image"))
    for is_resumed in (True, False):
        with pytest.raises((RefusedError, UsageError)):
            open_image_folder(tmp_path / "image", RUN, is_resumed=is_resumed)


def test_with_nothing_there_nothing_is_gone_on_with(tmp_path: Path) -> None:
    """It is said so; and a place that is none is refused."""
    with pytest.raises(BadDataError, match="no restore that was cut"):
        open_image_folder(tmp_path / "image", RUN, is_resumed=True)
    with pytest.raises(AsyncamandaError, match="cannot be made"):
        open_image_folder(tmp_path / "none" / "image", RUN, is_resumed=False)
