"""A server that gives files back, of one tar image; it runs at the server, as `asyncamanda`.

In STAGE: image.tar, plan.json with keys of the plan, and `requests`, to which it adds what it was
asked. While there is `wait` it says that it is queued; with `old` it has not heard of owners; with
`cut` it breaks the next connection in the middle of a stream.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from asyncamanda.core.restore.access_list import find_acl
from asyncamanda.core.restore.answer import (
    DiskAnswer,
    FileVersion,
    MissingFile,
    QueuedRestore,
    RestoreAnswer,
    RestoreDone,
    RestoreFailed,
    RestorePlan,
    UnmatchedPath,
    encode_answer,
)
from asyncamanda.core.restore.archive import END, render_member
from asyncamanda.core.restore.image import ImageParser
from asyncamanda.core.restore.member import Kind, Member
from asyncamanda.core.restore.request import (
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    parse_request,
)

STAGE = Path("/srv/stage/gate")


def say(answer: RestoreAnswer) -> None:
    """Say something on stderr."""
    os.write(2, encode_answer(answer))


def is_below(path: bytes, folder: bytes) -> bool:
    """Return whether a path is a folder or lies in it."""
    return not folder or path == folder or path.startswith(folder + b"/")


class Image:
    """The members of image.tar, with their contents."""

    def __init__(self) -> None:
        self._bytes = (STAGE / "image.tar").read_bytes()
        parser = ImageParser()
        self.members = {one.path: one for one in parser.feed(0, self._bytes)}
        parser.end()

    def folders(self) -> Iterator[Member]:
        """Yield all folders, each after the one that holds it."""
        for path in sorted(self.members):
            if self.members[path].kind is Kind.FOLDER:
                yield self.members[path]

    def select(self, wanted: tuple[bytes, ...]) -> dict[bytes, Member]:
        """Return the members that are meant; a link whose first name is not is the file itself."""
        found = {
            path: one
            for path, one in self.members.items()
            if any(is_below(path, each) for each in wanted)
        }
        for path, one in list(found.items()):
            if one.kind is Kind.HARD_LINK and one.link not in found:
                found[path] = self.members[one.link]
        return found

    def render(self, path: bytes, one: Member) -> bytes:
        """Return a member as a stream has it."""
        contents = self._bytes[one.data : one.data + one.stored]
        return render_member(one, path) + contents + bytes(-len(contents) % 512)


def describe_way(one: Member) -> str:
    """Return whose a folder is."""
    return f"{one.mode:o}:{one.uid}:{one.gid}:{find_acl(one.attributes).hex()}"


def describe_owner(one: Member) -> bytes:
    """Return the record of a folder's owner."""
    return b"@" + describe_way(one).encode() + b":" + one.path + b"\0"


def list_names(image: Image, wanted: tuple[bytes, ...], *, has_owners: bool) -> None:
    """Write the names of what is meant, but for a wanted folder's own."""
    out = b""
    if has_owners:
        out += b"".join(map(describe_owner, image.folders()))
    for path, one in sorted(image.select(wanted).items()):
        if path not in wanted or one.kind is not Kind.FOLDER:
            out += (b"D" if one.kind is Kind.FOLDER else b"Y") + path + b"\0"
    sys.stdout.buffer.write(out)


def send_files(image: Image, request: FilesRequest, *, has_owners: bool) -> None:
    """Write the stream."""
    selected = image.select(request.paths)
    folders = image.folders() if has_owners else ()
    out = [image.render(one.path, one) for one in folders]
    for path, one in selected.items():
        if one.kind is not Kind.FOLDER or not has_owners:
            out.append(image.render(path, one))
    stream = b"".join(out) + END
    if (STAGE / "cut").exists():
        (STAGE / "cut").unlink()
        os.write(1, stream[: len(stream) * 2 // 3])
        sshd = os.getppid()  # its process of this connection
        os.kill(sshd, signal.SIGKILL)
        while os.getppid() == sshd:
            time.sleep(0.01)
        sys.exit(1)  # nobody hears it
    sys.stdout.buffer.write(stream)


def list_versions(image: Image, path: bytes, plan: RestorePlan) -> None:
    """Say in which dump a path is."""
    parts = path.split(b"/")
    above = [b"/".join(parts[:depth]) for depth in range(len(parts))]
    ways = tuple(describe_way(image.members[folder]) for folder in above)
    say(FileVersion(path, plan.run, plan.dumped_at, "Y", ways=ways))


def find_unmatched(image: Image, wanted: tuple[bytes, ...]) -> list[bytes]:
    """Return what is not there, after saying so, with all names in the same folder."""
    unmatched = [path for path in wanted if path not in image.members]
    for path in unmatched:
        folder = path.rpartition(b"/")[0]
        near = [one for one in image.members if one and one.rpartition(b"/")[0] == folder]
        say(UnmatchedPath(path, tuple(near[:20])))
    return unmatched


def main() -> int:
    """Answer one request."""
    line = sys.stdin.buffer.readline()
    with (STAGE / "requests").open("ab") as file:
        file.write(line)
    request = parse_request(line)
    while (STAGE / "wait").exists():
        say(QueuedRestore(1))
        time.sleep(0.05)
    keys = json.loads((STAGE / "plan.json").read_text())
    dumped_at = datetime.fromisoformat(keys.pop("dumped_at"))
    if now := keys.pop("now", None):
        keys["now"] = datetime.fromisoformat(now)
    plan = RestorePlan("20261120120000", dumped_at, 99, 9, 12345, ("20261120120000",), **keys)
    if isinstance(request, DisksRequest):
        say(DiskAnswer("/home", plan.device, dumped_at, dumped_at, (), is_listable=True))
        say(RestoreDone(0, 0))
        return 0
    if isinstance(request, RawRequest):
        say(RestoreFailed(70, "internal", "an ordinary user's raw request has come here", ""))
        return 70
    image = Image()
    wanted = request.paths if isinstance(request, FilesRequest) else (request.path,)
    has_owners = request.has_owners and not (STAGE / "old").exists()
    say(plan)
    for path in (STAGE / "missing").read_bytes().split() if (STAGE / "missing").exists() else ():
        say(MissingFile(path, "its dump is lost"))
    if len(find_unmatched(image, wanted)) == len(wanted):
        say(RestoreFailed(65, "nothing-matched", "nothing matched", "look"))
        return 65
    if isinstance(request, ListRequest) and request.is_every_version:
        list_versions(image, request.path, plan)
    elif isinstance(request, ListRequest) or request.is_dry_run:
        list_names(image, wanted, has_owners=has_owners)
    else:
        send_files(image, request, has_owners=has_owners)
    sys.stdout.buffer.flush()
    say(RestoreDone(1, 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
