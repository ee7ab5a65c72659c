"""Many clients enrolled at once: one change of authorized_keys, and one of the disklist."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncamanda.core.protocol.authority import check_client_name
from asyncamanda.core.ssh.publickey import PublicKey, parse_public_key
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.enrol.disklist import render_dles
from asyncamanda.server.enrol.disklist_file import DisklistFile, Names
from asyncamanda.server.enrol.enrolled import (
    LINE_END,
    SKIPPED,
    Enrolled,
    parse_registry,
    plan_enroll,
    render_line,
)

MOST = 100_000
LARGEST_LIST = 64 << 20  # bytes


def parse_clients(text: str) -> list[tuple[str, PublicKey]]:
    """Return the clients and keys of a list, one a line: `laptop ssh-ed25519 AAAA... comment`.

    Empty lines and those that begin with # are passed over. Raises BadDataError, which names the
    line, for one that is none, and for a name or a key that is there twice.
    """
    found: list[tuple[str, PublicKey]] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, key = line.strip().partition(" ")
        try:
            check_client_name(name)
            public = parse_public_key(key)
        except ValueError as error:
            raise _bad(number, str(error)) from error
        for word in (name.lower(), public.key):
            if word in lines:
                what = "client" if word == name.lower() else "key"
                raise _bad(number, f"the {what} is in line {lines[word]} already")
            lines[word] = number
        found.append((name, public))
        if len(found) > MOST:
            raise _bad(number, f"there are more than {MOST} clients")
    return found


def _bad(number: int, why: str) -> BadDataError:
    return BadDataError(
        "bad-list",
        f"line {number} of the list: {why}",
        "each line has a client and its public key: laptop ssh-ed25519 AAAA... comment",
    )


def plan_enroll_many(text: str, entries: Sequence[Enrolled]) -> str:
    """Return authorized_keys with all of `entries` in it; those that are so already stay.

    It is read once. Raises what plan_enroll() raises for the first of them that it would refuse,
    and RefusedError for one that is enrolled otherwise.
    """
    names = {entry.client.lower() for entry in parse_registry(text)}
    said = text.translate(SKIPPED).split("\n")
    words = {word for line in said if not line.lstrip().startswith("#") for word in line.split()}
    fresh = []
    for entry in entries:
        if entry.client.lower() not in names and entry.key.key not in words:
            fresh.append(render_line(entry))
        elif plan_enroll(text, entry) != text:
            raise RefusedError(
                "enrolled-already",
                f"{entry.client} is enrolled otherwise, and nothing was changed",
                "leave it out of the list, and change it by itself: asyncamanda server enroll "
                f"{entry.client}",
            )
    ended = text if not text or text.endswith(LINE_END) or not fresh else text + LINE_END
    return ended + "".join(fresh)


@dataclass(frozen=True, slots=True)
class ManyAdditions:
    """Lines that a disklist is to have: disks of many clients, with one dumptype."""

    disks: Mapping[str, Sequence[str]]
    dumptype: str

    def make(self, file: DisklistFile) -> None:
        """Add the lines. Raises what DisklistFile.change() raises."""
        file.change(self._plan, self._expect, by_hand="add their disks by hand, and enroll again")

    def _plan(self, text: str) -> str:
        lines = [
            render_dles("", client, tuple(disks), self.dumptype)
            for client, disks in self.disks.items()
        ]
        ended = text if not text or text.endswith("\n") else text + "\n"
        return ended + "".join(lines)

    def _expect(self, before: Names) -> Names:
        added = [(client, disk) for client, disks in self.disks.items() for disk in disks]
        return [*before, *added]
