"""The hidden folder in which files are staged that go back where they were, beside their places."""

import contextlib
import errno
import os
from pathlib import Path
from zlib import crc32

from asyncamanda.client.restore.new_folder import (
    PrivateFolder,
    begin_within,
    cannot_make,
    make_private_folder,
    no_record,
    resume_within,
)
from asyncamanda.client.restore.record_lines import Errand, Part
from asyncamanda.core.restore.whereabouts import common_folder, folder_of
from asyncamanda.errors import BadDataError, RefusedError, UsageError
from asyncamanda.system.files import open_folder
from asyncamanda.system.tree import READABLE, Tree, empty_folder


class Staging:
    """The hidden folder of one disk's files, on their file system; `folder` is unpacked into."""

    def __init__(self, top: int, beside: int, name: str, folder: PrivateFolder) -> None:
        self.top = top  # the disk's folder
        self.folder = folder
        self._beside = beside  # the open folder that this one is in
        self._name = name

    def close(self) -> None:
        """Close all of it; what is staged stays, and a later start can go on."""
        self.folder.close()
        os.close(self._beside)
        os.close(self.top)

    def remove(self) -> None:
        """Remove it, with what was not put anywhere.

        Somebody else may own the folder that it is in, and have given its name to another one: only
        what is open is emptied.
        """
        with contextlib.suppress(OSError):
            empty_folder(self.folder.descriptor)
        self.folder.abandon()
        with contextlib.suppress(OSError):
            os.rmdir(self._name, dir_fd=self._beside)


def open_staging(part: Part, errand: Errand, top_path: Path, *, resume: bool) -> Staging:
    """Make the hidden folder for `part`, or with `resume` open the one that is there.

    It is below `top_path`, which is the disk's folder, or the one that this is to be in.

    Raises UsageError if there is one of an earlier restore, BadDataError if there is none to go on
    with, and RefusedError or LaterError if it cannot be.
    """
    with contextlib.ExitStack() as undo:
        try:
            if not top_path.is_absolute():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            top = open_folder(top_path)
            undo.callback(os.close, top)
            beside, path = _open_common(top, part)
            undo.callback(os.close, beside)
        except OSError as error:
            raise RefusedError(
                "no-place",
                f"{top_path}, where the files were, cannot be opened: {error.strerror}",
                "without --in-place they come back into a new folder",
            ) from error
        name = f".asyncamanda-restoring-{_number(part):08x}"
        place = top_path / os.fsdecode(path) / name
        open_it = _resume if resume else _begin
        staging = Staging(top, beside, name, open_it(beside, place, errand))
        undo.pop_all()
    return staging


def _begin(beside: int, place: Path, errand: Errand) -> PrivateFolder:
    try:
        hidden = make_private_folder(beside, place.name)
        return begin_within(hidden, place / "files", "record", errand)
    except FileExistsError as error:
        raise UsageError(
            "unfinished",
            f"a restore of the same files was cut: {place} is there",
            "--resume goes on with it; or remove that folder",
        ) from error
    except OSError as error:
        raise cannot_make(place, error) from error


def _resume(beside: int, place: Path, errand: Errand) -> PrivateFolder:
    try:
        hidden = os.open(place.name, READABLE, dir_fd=beside)
        folder = resume_within(hidden, place / "files", "record")
    except OSError as error:
        raise no_record(place) from error
    if _what_of(folder.record.errand) != _what_of(errand):
        folder.close()
        raise BadDataError(
            "no-record",
            f"{place} is of a restore of other files",
            "restore again, without --resume, or remove that folder",
        )
    return folder


def _what_of(errand: Errand) -> list[tuple[str, bytes | None, list[bytes]]]:
    return [(part.disk, folder_of(part), sorted(part.paths)) for part in errand.parts]


def _open_common(top: int, part: Part) -> tuple[int, bytes]:
    """Return the deepest folder that is there and above all that is wanted, open, and its path."""
    path = common_folder(b"/" + each for each in part.paths).strip(b"/")
    tree = Tree(top)
    try:
        while True:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return os.dup(tree.folder(path)), path
            path = path.rpartition(b"/")[0]
    finally:
        tree.close()


def _number(part: Part) -> int:
    """Return what tells this from a restore of other files beside it."""
    return crc32(b"\0".join((os.fsencode(part.disk), *sorted(part.paths))))
