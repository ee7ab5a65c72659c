"""Which disk each path is on, as people name them on this machine."""

import contextlib
import os
from collections.abc import Callable, Sequence

from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.record_lines import Part
from asyncamanda.core.restore.answer import DiskAnswer, RestoreAnswer, UnmatchedPath
from asyncamanda.core.restore.request import At, ListRequest
from asyncamanda.core.restore.whereabouts import find_disks, folder_of, normalize, relate
from asyncamanda.errors import BadDataError
from asyncamanda.report.text import name_disks

FindNames = Callable[[str], list[bytes]]


def absolute_names(typed: str) -> list[bytes]:
    """Return the absolute names that a path may have here, the surest first.

    That is without the links on its way, and as it was typed in this shell. Neither has to be
    there: it may have been deleted, or the folder in which this was typed.
    """
    whole = os.path.join(name_here(), typed)  # noqa: PTH118 - keeps what is after a link
    above, _, name = whole.rstrip("/").rpartition("/")
    if name in {"", ".", ".."}:
        real = os.path.realpath(whole)
    else:
        real = os.path.join(os.path.realpath(above or "/"), name)  # noqa: PTH118
    return list(dict.fromkeys(normalize(os.fsencode(each)) for each in (real, whole)))


def name_here() -> str:
    """Return the present folder as this shell names it, though it may be gone; "/" if unknown."""
    here = os.environ.get("PWD", "")
    with contextlib.suppress(OSError):
        there = os.getcwd()  # noqa: PTH109 - pathlib would make it absolute, and raise
        with contextlib.suppress(OSError):
            if not os.path.samefile(here, there):  # noqa: PTH121 - as above
                here = there
        here = here if here.startswith("/") else there
    return here or "/"


class Seeker:
    """Finds disks, by what the server has of this client; `forced` is one by its name.

    `find_names` returns the absolute names that a path may have at the client.
    """

    def __init__(
        self,
        gateway: Gateway,
        disks: Sequence[DiskAnswer],
        forced: str | None,
        find_names: FindNames = absolute_names,
    ) -> None:
        self._find_names = find_names
        self._gateway = gateway
        self._disks = disks
        self._forced = forced
        if forced is not None and all(disk.disk != forced for disk in disks):
            raise self._unknown(f"the server has no disk {forced} of this client")

    def find(self, typed: str, at: At, *, is_in_place: bool = False) -> tuple[DiskAnswer, bytes]:
        """Return the disk that `typed` is on, and its path there. Raises BadDataError.

        `is_in_place`: what is typed is where the file has to go, by its name on this machine. The
        server, which says where its disks are, does not choose that.
        """
        if self._forced is not None:
            disk = next(each for each in self._disks if each.disk == self._forced)
            return disk, self._within(disk, typed, is_in_place=is_in_place)
        found = find_disks(self._find_names(typed), self._disks)
        if not found:
            raise self._unknown(f"{typed} is on no disk that is backed up")
        listable = [each for each in found if each[0].is_listable] or found
        if len(listable) == 1:
            return listable[0]
        return next((each for each in listable if self._is_there(*each, at)), listable[0])

    def group(self, typed: Sequence[str], at: At, *, is_in_place: bool = False) -> tuple[Part, ...]:
        """Return what is wanted of each disk, in the order in which they were named; as find()."""
        wanted: dict[str, tuple[DiskAnswer, list[bytes]]] = {}
        for each in typed:
            disk, path = self.find(each, at, is_in_place=is_in_place)
            wanted.setdefault(disk.disk, (disk, []))[1].append(path)
        return tuple(
            Part(disk.disk, disk.device, tuple(dict.fromkeys(paths)), at)
            for disk, paths in wanted.values()
        )

    def _within(self, disk: DiskAnswer, typed: str, *, is_in_place: bool) -> bytes:
        """Return the path within the disk that was named; a relative one may be meant so."""
        folder = folder_of(disk)
        for name in self._find_names(typed):
            below = None if folder is None else relate(name, folder)
            if below is not None:
                return below
        if typed.startswith("/") or is_in_place:
            raise BadDataError(
                "no-such-disk",
                f"{typed} is not on {disk.disk}, which is {disk.device} here",
                "name a path below that"
                + ("" if is_in_place else ", or one relative to it that is not below this folder"),
            )
        return normalize(os.fsencode("/" + typed))[1:]

    def _is_there(self, disk: DiskAnswer, path: bytes, at: At) -> bool:
        """Return whether this one of several disks, or of several paths on one, has it."""
        unmatched: list[RestoreAnswer] = []

        def take(answer: RestoreAnswer) -> None:
            if isinstance(answer, UnmatchedPath):
                unmatched.append(answer)

        request = ListRequest(disk.disk, path, at, is_deep=False)
        with contextlib.closing(self._gateway.ask(request, take)) as exchange:
            for _ in exchange.records():
                pass
            end = exchange.conclude()
        return end.done is not None and not unmatched

    def _unknown(self, message: str) -> BadDataError:
        named = name_disks([disk.device or disk.disk for disk in self._disks])
        hint = f"there are: {named}" if self._disks else "nothing of this client can be restored"
        return BadDataError("no-such-disk", message, f"{hint}; `asyncamanda list` shows them")
