"""What a restore in place would find there: told before, by names alone."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from asyncamanda.client.restore.gateway import Gateway
from asyncamanda.client.restore.in_place import IN_THE_WAY, ON_THE_WAY
from asyncamanda.client.restore.listing import FOLDER, NOTHING_MATCHED, Listed, list_names
from asyncamanda.client.restore.record_lines import Part
from asyncamanda.core.restore.request import ListRequest
from asyncamanda.core.restore.whereabouts import Layout, folder_of, join
from asyncamanda.errors import BadDataError, ProtocolError, RefusedError
from asyncamanda.system.files import open_folder
from asyncamanda.system.tree import Tree

NOT_LISTED = "not-readable"  # by the broker: the user could not have listed that


class Foresight:
    """What is there of what is wanted: `existing` files, and why others would `fail`; absolute."""

    def __init__(self) -> None:
        self.existing: set[bytes] = set()
        self.failed: dict[bytes, str] = {}

    def look(self, gateway: Gateway, part: Part) -> None:
        """Compare what the server lists of `part` with what is there. Nothing is changed.

        Raises what list_names() raises, and ProtocolError for what was not asked for.
        """
        folder = folder_of(part)
        if folder is None:
            return
        try:
            top = open_folder(Path(os.fsdecode(folder)))
        except OSError:  # which the restore itself says
            return
        there, layout = Tree(top), Layout(frozenset(part.paths))
        try:
            for path in part.paths:
                is_folder = True
                for flag, name in _list(gateway, part, path):
                    _check(gateway, layout, name)
                    is_folder = is_folder and name != path
                    self._compare(there, folder, name, is_folder=flag == FOLDER)
                if is_folder and path:  # itself it is not in its list
                    self._compare(there, folder, path, is_folder=True)
        finally:
            there.close()
            os.close(top)

    def _compare(self, there: Tree, top: bytes, path: bytes, *, is_folder: bool) -> None:
        try:
            found = there.stat(path)
        except NotADirectoryError:  # what is above it is a file or a link, or is below one
            self._compare(there, top, path.rpartition(b"/")[0], is_folder=True)
            return
        except OSError:  # as this user it cannot be seen
            return
        if found is None:
            return
        is_there_folder = stat.S_ISDIR(found.st_mode)
        if is_folder and not is_there_folder:
            self.failed[join(top, path)] = ON_THE_WAY
        elif is_there_folder and not is_folder:
            self.failed[join(top, path)] = IN_THE_WAY
        elif not is_folder:
            self.existing.add(join(top, path))


def _check(gateway: Gateway, layout: Layout, path: bytes) -> None:
    try:
        layout.place(path, is_folder=False)
    except ValueError as error:
        raise ProtocolError(
            "bad-answer", f"{gateway.host} lists what it should not: {error}", "is it your server?"
        ) from error


def _list(gateway: Gateway, part: Part, path: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield flag and path of what there is; nothing where there is nothing to be listed."""
    try:
        for records in list_names(gateway, ListRequest(part.disk, path, part.at), Listed()):
            yield from ((record[:1], record[1:]) for record in records)
    except (BadDataError, RefusedError) as error:
        if error.reference not in {NOTHING_MATCHED, NOT_LISTED}:
            raise
