"""Where what comes is put: into a new folder, or back in place; begun when it is known to come."""

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from asyncamanda.client.restore.in_place import Overwrite, Placed, Placement
from asyncamanda.client.restore.new_folder import PrivateFolder, begin_folder, resume_folder
from asyncamanda.client.restore.record_lines import Errand, Part
from asyncamanda.client.restore.staging import Staging, open_staging
from asyncamanda.core.restore.whereabouts import (
    Layout,
    common_folder,
    folder_of,
    join,
    name_folder,
    plan_layout,
    relate,
)
from asyncamanda.core.values.shellwords import quote_words
from asyncamanda.errors import AsyncamandaError, BadDataError, RefusedError, UsageError
from asyncamanda.system.files import open_folder
from asyncamanda.system.untar import Unpacker

TAKEN = "target-exists"


class Delivery(Protocol):
    """Where the parts of one errand go. `folder` is None until it is begun."""

    errand: Errand
    folder: PrivateFolder | None

    @property
    def place(self) -> Path:
        """Where people will find it."""

    @property
    def top(self) -> bytes:
        """The folder, by its absolute path, at which the names of what finish() returns begin."""

    def begin(self, dumped_at: datetime) -> PrivateFolder:
        """Make the folder, or return it if it is made. Raises UsageError, and what that raises."""

    def layout(self, part: Part) -> Layout:
        """Return where the part's paths go in the folder."""

    def finish(self, unpacker: Unpacker, on_tick: Callable[[], None]) -> Placed:
        """Bring all into its last place and state, once the last part is there."""

    def resume_command(self) -> str:
        """Return the arguments of `asyncamanda restore` that go on with it."""

    def close(self) -> None:
        """Close all of it; what is there stays."""

    def abandon(self) -> None:
        """Remove what was made, if nothing is in it."""


class NewFolder:
    """Into the folder `named`, or one that is named by host and date in the present one."""

    def __init__(
        self,
        errand: Errand,
        named: Path | None,
        again: Sequence[str] = (),
        resume_words: Sequence[str] = ("--resume",),
    ) -> None:
        """`again`: options that whoever goes on with it has to give again, after `resume_words`."""
        self.errand = errand
        self.folder: PrivateFolder | None = None
        self._named = named
        self._again = [*resume_words, *again]

    @classmethod
    def resume(
        cls, path: Path, again: Sequence[str] = (), resume_words: Sequence[str] = ("--resume",)
    ) -> "NewFolder":
        """Return the one whose folder is `path`. Raises what resume_folder() raises."""
        folder = resume_folder(path)
        found = cls(folder.record.errand, path, again, resume_words)
        found.folder = folder
        return found

    @property
    def place(self) -> Path:
        return self.folder.path if self.folder else self._named or Path()

    @property
    def top(self) -> bytes:
        return folder_of(self.errand.parts[0]) or b"/"

    def begin(self, dumped_at: datetime) -> PrivateFolder:
        if self.folder is None:
            if self._named:
                self.folder = begin_folder(self._named, self.errand)
            else:
                self.folder = self._begin_unnamed(f"{dumped_at.astimezone():%Y-%m-%d}")
        return self.folder

    def layout(self, part: Part) -> Layout:
        return plan_layout(folder_of(part), part.paths, self.errand.base)

    def finish(self, unpacker: Unpacker, on_tick: Callable[[], None]) -> Placed:
        del on_tick  # it takes no long time
        unpacker.finish()
        assert self.folder
        self.folder.record.remove()
        return Placed()

    def resume_command(self) -> str:
        return quote_words([*self._again, "--to", str(self.place)])

    def close(self) -> None:
        if self.folder:
            self.folder.close()
            self.folder = None

    def abandon(self) -> None:
        if self.folder:
            self.folder.abandon()

    def _begin_unnamed(self, date: str) -> PrivateFolder:
        here = find_here()
        host = socket.gethostname().partition(".")[0]
        while True:
            name = name_folder(host, date, lambda each: os.path.lexists(here / each))
            try:
                return begin_folder(here / name, self.errand)
            except UsageError as error:
                if error.reference != TAKEN or not os.path.lexists(here / name):
                    raise  # else somebody was quicker


class InPlace:
    """Back where it was, by way of a hidden folder beside it; of one disk.

    `later` is what is to go back after it, of other disks. One that `is_one_of_all` makes the
    disk's folder where it is missing, and keeps the hidden one until clear(): so who begins again
    sees that this disk is done.
    """

    def __init__(
        self,
        errand: Errand,
        *,
        is_resumed: bool,
        again: Sequence[str] = (),
        is_one_of_all: bool = False,
    ) -> None:
        """`again` is as in NewFolder; of one of all it is the whole of resume_command()."""
        self.errand = errand
        self.folder: PrivateFolder | None = None
        self.later: tuple[Part, ...] = ()
        # the path that was typed was compared with it, so that no link on the way leads elsewhere
        self.top = folder_of(errand.parts[0]) or b""
        self._again = again
        self._is_one_of_all = is_one_of_all
        self._staging: Staging | None = None
        if is_resumed:
            self._open(resume=True)

    @classmethod
    def one_of_all(cls, errand: Errand, again: Sequence[str]) -> "InPlace":
        """Return the one that was begun before, or else a new one. Raises HeldError."""
        try:
            return cls(errand, is_resumed=True, again=again, is_one_of_all=True)
        except (BadDataError, RefusedError):  # nothing was begun
            return cls(errand, is_resumed=False, again=again, is_one_of_all=True)

    def check_overwrite(self, wanted: str | None) -> None:
        """Raise UsageError if files are now to be replaced otherwise than when this was begun."""
        recorded = self.errand.overwrite
        if wanted not in {None, recorded}:
            raise UsageError(
                "other-overwrite",
                f"the restore that was cut was begun with --overwrite {recorded}",
                "go on with that, or without --overwrite; to begin again remove the hidden folder "
                f"{self.hidden}",
            )

    @property
    def place(self) -> Path:
        return Path(self.errand.parts[0].device)

    @property
    def hidden(self) -> Path:
        """The hidden folder, once it is begun."""
        return self.folder.path.parent if self.folder else self.place

    def begin(self, dumped_at: datetime) -> PrivateFolder:
        del dumped_at  # the hidden folder has no date
        return self.folder or self._open(resume=False)

    def layout(self, part: Part) -> Layout:
        below = relate(folder_of(part) or b"", self.top) or b""
        return Layout(frozenset(part.paths), prefix=below)

    def finish(self, unpacker: Unpacker, on_tick: Callable[[], None]) -> Placed:
        assert self._staging
        staging = self._staging
        record = staging.folder.record
        if not record.state.is_placing:
            record.sync(str(staging.folder.path))
            record.note(placing=True)
            record.flush()
        placement = Placement(staging, Overwrite(self.errand.overwrite))
        try:
            for _ in placement.move_all():
                on_tick()
            placement.finish(unpacker.dresser)
        finally:
            placement.close()
        if not self._is_one_of_all:
            staging.remove()
        return placement.placed

    def clear(self) -> None:
        """Remove the hidden folder of one of all, if it is there: all others are done, too."""
        if not self._is_one_of_all:
            return
        with contextlib.suppress(AsyncamandaError):
            self._open(resume=True)
            self.abandon()
        self.close()

    def resume_command(self) -> str:
        if self._is_one_of_all:
            return quote_words(self._again)
        part = self.errand.parts[0]
        words = ["--resume", "--in-place", *self._again]
        if part.disk != part.device and not self.later:
            words += ["--disk", part.disk]
        return quote_words([*words, *map(os.fsdecode, list_wanted((part, *self.later)))])

    def close(self) -> None:
        if self._staging:
            self._staging.close()
            self._staging = None

    def abandon(self) -> None:
        if self._staging:
            self._staging.remove()

    def _open(self, *, resume: bool) -> PrivateFolder:
        self._staging = self._open_staging(resume=resume)
        self.folder = self._staging.folder
        self.errand = self.folder.record.errand
        return self.folder

    def _open_staging(self, *, resume: bool) -> Staging:
        part, path = self.errand.parts[0], Path(os.fsdecode(self.top))
        if not self._is_one_of_all:
            return open_staging(part, self.errand, path, resume=resume)
        if resume:  # it may have been begun when the disk's folder was not there yet
            with contextlib.suppress(BadDataError, RefusedError):
                return open_staging(part, self.errand, path, resume=True)
        elif path.is_dir() and not path.is_symlink():
            return open_staging(part, self.errand, path, resume=False)
        if not resume:
            with contextlib.suppress(OSError):  # which is told when it is opened
                os.close(open_folder(path.parent, make=True))
        self.top = os.fsencode(path.parent)
        return open_staging(part, self.errand, path.parent, resume=resume)


def find_here() -> Path:
    """Return the present folder. Raises UsageError if it is gone."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            "no-here",
            "the folder in which this was started is gone",
            "name a folder with --to DIR, with its whole path, or change to another one",
        ) from error


def plan_errand(parts: tuple[Part, ...]) -> Errand:
    """Return the errand that brings these parts into one new folder."""
    return Errand(parts, common_folder(list_wanted(parts)))


def list_wanted(parts: tuple[Part, ...]) -> list[bytes]:
    """Return the absolute names of all that is wanted."""
    return [join(folder_of(part) or b"/", path) for part in parts for path in part.paths]
