"""Writing what an import brings, so that it can be undone, and so that a kill leaves no half file.

What was there before is set aside by renaming it. Nothing is made to last file by file: the import
does that for all of them, before anybody can come in.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO

from asyncamanda.core.export.manifest import ExportedMember
from asyncamanda.errors import RefusedError
from asyncamanda.server.export.archive import bad_export
from asyncamanda.system.files import find_free

FRESH = ".asyncamanda-import"  # one name in a folder, so that a kill leaves one file at most
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Undo:
    """What is to be done, in the reverse order, if an import ends early."""

    def __init__(self) -> None:
        self._actions: list[Callable[[], object]] = []

    def note(self, action: Callable[[], object]) -> None:
        """Remember how to undo what was just done."""
        self._actions.append(action)

    def do(self) -> None:
        """Undo all, as far as it can be."""
        while self._actions:
            with suppress(OSError):
                self._actions.pop()()


def write_file(
    path: Path, pieces: Iterable[bytes], expected: ExportedMember, undo: Undo, mode: int
) -> None:
    """Write a file, if its bytes are those that are expected.

    Raises BadDataError if not, and OSError; nothing is left of it then.
    """
    fresh = path.with_name(FRESH)
    with suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, _FLAGS, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(file, pieces, expected)
            os.fchmod(descriptor, mode)
        is_new = not os.path.lexists(path)
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
    if is_new:
        undo.note(path.unlink)


def _write(file: IO[bytes], pieces: Iterable[bytes], expected: ExportedMember) -> None:
    digest = sha256()
    for piece in pieces:
        digest.update(piece)
        file.write(piece)
    if digest.hexdigest() != expected.sha256:
        raise bad_export("it was changed while it was read")


def make_folder(path: Path, undo: Undo) -> None:
    """Make a folder and those above it, where they are missing. Raises OSError."""
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            folder.mkdir(mode=0o750)
            undo.note(folder.rmdir)


def set_aside(path: Path, end: str, undo: Undo, beside: Iterable[str] = ()) -> Path:
    """Give what is at `path` another name, beside it, with that end; return it.

    `beside`: ends of names of files that go with it, where they are. What was set aside earlier
    stays. Raises RefusedError if that cannot be.
    """
    aside = find_free(path.with_name(path.name + end))
    try:
        for more in beside:
            with suppress(FileNotFoundError):
                _rename(path.with_name(path.name + more), aside.with_name(aside.name + more), undo)
        _rename(path, aside, undo)
    except OSError as error:
        raise RefusedError(
            "not-set-aside",
            f"{path} is there already, and cannot be renamed: {error.strerror}",
            "move it away by hand, and import again",
        ) from error
    return aside


def _rename(path: Path, aside: Path, undo: Undo) -> None:
    path.rename(aside)
    undo.note(partial(aside.rename, path))
