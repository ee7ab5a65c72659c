"""What an administrator changes in a disklist: disks of a client that go, a client's name."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.amanda.disklist_lines import Block, comment_out, rename_host
from asyncamanda.errors import BadDataError
from asyncamanda.report.text import name_disks
from asyncamanda.server.enrol.disklist_file import DisklistFile, Names


@dataclass(frozen=True, slots=True)
class DiskRemoval:
    """A client's disks whose lines become comments, with why and the day."""

    client: str
    disks: Collection[str]
    why: str
    day: date

    def make(self, file: DisklistFile) -> None:
        """Change the disklist. Raises what DisklistFile.change() raises."""
        by_hand = (
            f"comment the lines of {self.client} out by hand: {name_disks(sorted(self.disks))}"
        )
        file.change(self._plan, self._expect, by_hand=by_hand)

    def _is_meant(self, block: Block) -> bool:
        return block.host.lower() == self.client.lower() and block.disk in self.disks

    def _plan(self, text: str) -> str:
        return comment_out(text, self._is_meant, self.why, self.day)

    def _expect(self, before: Names) -> Names:
        return [pair for pair in before if not (pair[0] == self.client and pair[1] in self.disks)]


@dataclass(frozen=True, slots=True)
class Renaming:
    """A host's new name, in each of its lines."""

    old: str
    new: str

    def make(self, file: DisklistFile) -> None:
        """Change the disklist. Raises what DisklistFile.change() raises."""
        by_hand = f"in each line of {self.old} there: {self.new} instead of {self.old}"
        file.change(self._plan, self._expect, by_hand=by_hand)

    def _plan(self, text: str) -> str:
        return rename_host(text, self.old, self.new)

    def _expect(self, before: Names) -> Names:
        return [(self.new if host == self.old else host, disk) for host, disk in before]


def find_disk(dles: Collection[Dle], client: str, disk: str) -> str:
    """Return the name by which a client's `dles` have `disk`: by its name, or by its path.

    Raises BadDataError if there is none, or there are several.
    """
    if disk in {dle.disk for dle in dles}:
        return disk
    plain = disk.rstrip("/")
    found = {dle.disk for dle in dles if plain in {dle.disk.rstrip("/"), dle.device.rstrip("/")}}
    if len(found) == 1:
        return found.pop()
    names = name_disks(sorted(found or {dle.disk for dle in dles})) or "none"
    raise BadDataError(
        "no-such-disk", f"the disklist has no disk {disk} of {client}", f"its disks: {names}"
    )
