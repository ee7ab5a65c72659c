"""A gate for restores that is a script: it gives back what a tar archive has, and may be cut.

It runs as a program of its own, `python restoring_gate.py SCENARIO`, and reads a request from its
stdin. The scenario is a file of JSON: `archive` is packed by the real tar; `disks` are as the gate
shows them; `cuts` are, visit by visit, after how many bytes of the stream the connection breaks;
`say` are lines for stderr before the answer, and `status` what it ends with instead of one. `hold`
is a file for which the stream waits at the byte `hold_at`. `stream` is a file that is sent instead
of what was asked for; with `lingers` the program does not end, and with `is_mute` it does not say
at the end of a stream that this is done. `late` are files that are missing, as is said behind the
stream, and `breaks_last` says at how many visits the connection breaks before that. With `moves_on`
each visit is about another dump, `also` are paths that are there besides, and `listed` are
records that come before each list. `plan` has further keys of each plan, `dumped_at` in seconds
since 1970, and `fails` is what is said instead of an answer to a request for files. `images` are
files that are sent as whole images, by level; `huge` lets the first seem larger than any disk, and
`done_more` adds to the size that is said at the end. Without `images` it answers as one that has
not heard of them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncamanda.core.restore.answer import (
    DiskAnswer,
    DumpOfDisk,
    FileVersion,
    ImageOfDisk,
    ImagesPlan,
    MissingFile,
    RestoreAnswer,
    RestoreDone,
    RestoreFailed,
    RestorePlan,
    UnmatchedPath,
    encode_answer,
)
from asyncamanda.core.restore.archive import END, render_member
from asyncamanda.core.restore.image import ImageParser, Kind, Member
from asyncamanda.core.restore.request import (
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    parse_request,
)
from asyncamanda.core.restore.tarfields import pad

RUN, OLDER = "20261120020000", "20261119020000"
DUMPED_AT = datetime(2026, 11, 20, 1, tzinfo=UTC)
OLDER_AT = datetime(2026, 11, 19, 1, tzinfo=UTC)
CUT = 99  # how this program ends where the connection would break


class Cut(Exception):  # noqa: N818 - an outcome that is wanted
    """The scenario says that the connection breaks here."""


class ScriptedGate:
    """Answers one request."""

    def __init__(self, scenario: dict[str, object]) -> None:
        self._scenario = scenario
        self._folder = Path(str(scenario["folder"]))
        self._image = Path(str(scenario["archive"])).read_bytes()
        self._left: int | None = None  # bytes until the cut
        self._sent = 0
        self._visit = 0

    def answer(self, line: bytes) -> int:
        """Answer the request `line`; return the exit status."""
        with (self._folder / "asked").open("ab") as asked:
            asked.write(line)
        for text in self._scenario.get("say", []):  # type: ignore[attr-defined]
            sys.stderr.write(f"{text}\n")
        if "status" in self._scenario:
            return int(str(self._scenario["status"]))
        match parse_request(line):
            case DisksRequest():
                self._disks()
            case ListRequest() as request:
                self._list(request)
            case FilesRequest() as request:
                return self._restore(request)
            case RawRequest() as request:
                return self._images(request)
        return 0

    def _images(self, request: RawRequest) -> int:
        """Send an image of those that `images` names, by level; where none are it is older."""
        paths = [Path(path) for path in self._scenario.get("images", ())]  # type: ignore[attr-defined]
        if not paths:
            fault = "the server does not understand the request: type: none of disks, list, restore"
            self._say(RestoreFailed(76, "not-understood", fault, "is it older?"))
            return 76
        told = self._scenario.get("told_size", True)
        images = [
            ImageOfDisk(run, at, level, "/sbin/dump", size=path.stat().st_size if told else None)
            for level, (path, run, at) in enumerate(
                zip(paths, (OLDER, RUN), (OLDER_AT, DUMPED_AT), strict=False)
            )
        ]
        if "huge" in self._scenario:
            images[0] = replace(images[0], size=10**15)
        self._say(ImagesPlan(tuple(images), ("a doubt",)))
        if request.level is None:
            self._say(RestoreDone(0, 0))
            return 0
        self._arm()
        image = paths[request.level].read_bytes()
        for at in range(request.skip, len(image), 100_000):
            self._send(image[at : at + 100_000])
        if "is_mute" not in self._scenario:
            more = int(str(self._scenario.get("done_more", 0)))
            self._say(RestoreDone(1, len(image) + more))
        return 0

    def _disks(self) -> None:
        for disk, device in self._scenario["disks"].items():  # type: ignore[attr-defined]
            runs = (DumpOfDisk(OLDER, OLDER_AT, 0), DumpOfDisk(RUN, DUMPED_AT, 1))
            whole = DiskAnswer(disk, device, OLDER_AT, DUMPED_AT, runs, is_listable=True)
            if "images" in self._scenario:
                whole = replace(whole, is_listable=False, reason="dump", has_images=True)
            self._say(whole)
        self._say(RestoreDone(0, 0))

    def _list(self, request: ListRequest) -> None:
        self._say(RestorePlan(RUN, DUMPED_AT, 0, 0, None, (OLDER, RUN)))
        if request.is_every_version:
            self._say(FileVersion(request.path, RUN, DUMPED_AT, "Y", 5, DUMPED_AT))
            self._say(
                FileVersion(request.path, OLDER, OLDER_AT, "Y", 4, OLDER_AT, is_changed=False)
            )
            self._say(RestoreDone(0, 0))
            return
        for record in self._scenario.get("listed", []):  # type: ignore[attr-defined]
            os.write(1, f"{record}\0".encode())
        names = {member.path: member.kind for member in self._members()}
        for path in sorted(names):
            above = path.rpartition(b"/")[0]
            is_within = request.path in {above, path}
            if request.is_deep:
                is_within = (path + b"/").startswith(request.path + b"/") or not request.path
            if request.glob:
                is_within = is_within and path.endswith(request.glob.lstrip(b"*"))
            if path and is_within and not (path == request.path and names[path] is Kind.FOLDER):
                flag = b"D" if names[path] is Kind.FOLDER else b"Y"
                self._send(flag + path + b"\0")
                self._sent += 1
        if not self._sent and names.get(request.path) is not Kind.FOLDER:
            self._say(UnmatchedPath(request.path, (b"near",)))
            self._say(RestoreFailed(65, "nothing-matched", "nothing matched", "look"))
            return
        self._say(RestoreDone(0, 0))

    def _restore(self, request: FilesRequest) -> int:
        if "fails" in self._scenario:
            failed = RestoreFailed(*self._scenario["fails"])  # type: ignore[misc]
            self._say(failed)
            return failed.exit
        members = self._members()
        wanted = resolve_links([m for m in members if _is_wanted(m, request.paths)], members)
        paths = {member.path for member in wanted}
        paths |= {path.encode() for path in self._scenario.get("also", [])}  # type: ignore[attr-defined]
        for path in request.paths:
            if path not in paths:
                self._say(UnmatchedPath(path, (b"near",)))
        if paths.isdisjoint(request.paths):
            self._say(RestoreFailed(65, "nothing-matched", "nothing matched", "look"))
            return 65
        for path, reason in self._scenario.get("missing", {}).items():  # type: ignore[attr-defined]
            self._say(MissingFile(path.encode(), reason))
        files = sum(member.kind is not Kind.FOLDER for member in wanted)
        size = sum(member.stored for member in wanted)
        told = self._scenario.get("told_size", size)
        assert told is None or isinstance(told, int)
        run = OLDER if "moves_on" in self._scenario and request.resume else RUN
        plan = RestorePlan(
            run, DUMPED_AT, files, len(wanted) - files, told, (OLDER, RUN), ("a doubt",)
        )
        self._say(replace(plan, **self._more_of_plans()))
        if not request.is_dry_run:
            self._give(wanted, request.resume.done if request.resume else 0)
        if "is_mute" not in self._scenario:
            self._say(RestoreDone(files, size))
        while "lingers" in self._scenario:
            time.sleep(60)
        return 0

    def _more_of_plans(self) -> dict[str, Any]:
        more: dict[str, Any] = dict(self._scenario.get("plan", {}))  # type: ignore[call-overload]
        if "dumped_at" in more:
            more["dumped_at"] = datetime.fromtimestamp(more["dumped_at"], UTC)
        if "excludes" in more:
            more["excludes"] = tuple(more["excludes"])
        return more

    def _give(self, wanted: list[Member], skip: int) -> None:
        self._arm()
        if "stream" in self._scenario:
            self._send(Path(str(self._scenario["stream"])).read_bytes())
        else:
            self._stream(wanted, skip)
        if self._visit <= int(str(self._scenario.get("breaks_last", 0))):
            raise Cut
        for path, reason in self._scenario.get("late", {}).items():  # type: ignore[attr-defined]
            self._say(MissingFile(path.encode(), reason))

    def _stream(self, members: list[Member], skip: int) -> None:
        for member in members[skip:]:
            self._send(render_member(member, member.path))
            self._send(self._image[member.data : member.data + member.stored])
            self._send(bytes(pad(member.stored)))
        self._send(END)

    def _members(self) -> list[Member]:
        """Return all members, folders first."""
        parser, found = ImageParser(), []
        while not parser.is_ended:
            at = parser.offset
            found += parser.feed(at, self._image[at : at + (1 << 16)])
        return sorted(found, key=lambda member: member.kind is not Kind.FOLDER)

    def _arm(self) -> None:
        """Find out when this visit is to be cut."""
        with (self._folder / "visits").open("a+") as visits:
            visits.write("x")
            visits.seek(0)
            visit = self._visit = len(visits.read())
        cuts = self._scenario.get("cuts", [])
        assert isinstance(cuts, list)
        self._left = cuts[visit - 1] if visit <= len(cuts) else None

    def _send(self, piece: bytes) -> None:
        if "hold" in self._scenario and self._sent >= int(str(self._scenario["hold_at"])):
            (self._folder / "holding").touch()
            while not Path(str(self._scenario["hold"])).exists():
                time.sleep(0.01)
            del self._scenario["hold"]
        if self._left is not None:
            piece = piece[: self._left]
            self._left -= len(piece)
        while piece:
            written = os.write(1, piece)
            self._sent += written
            piece = piece[written:]
        if self._left == 0:
            raise Cut

    def _say(self, answer: RestoreAnswer) -> None:
        os.write(2, encode_answer(answer))


def resolve_links(wanted: list[Member], members: list[Member]) -> list[Member]:
    """Return what is wanted, the first of each file's names as the file itself: as servers do."""
    files = {member.path: member for member in members if member.kind is Kind.FILE}
    first: dict[bytes, bytes] = {}
    found = []
    for member in wanted:
        if member.kind is Kind.HARD_LINK and member.link in first:
            found.append(replace(member, link=first[member.link]))
        elif member.kind is Kind.HARD_LINK:
            first[member.link] = member.path
            found.append(replace(files[member.link], path=member.path))
        else:
            first[member.path] = member.path
            found.append(member)
    return found


def _is_wanted(member: Member, paths: tuple[bytes, ...]) -> bool:
    is_folder = member.kind is Kind.FOLDER
    return any(
        not path
        or member.path == path
        or member.path.startswith(path + b"/")
        or (is_folder and path.startswith(member.path + b"/"))
        for path in paths
    )


def main() -> int:
    """Answer, and return the exit status."""
    scenario = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    try:
        return ScriptedGate(scenario).answer(sys.stdin.buffer.readline())
    except Cut:
        return CUT


if __name__ == "__main__":
    sys.exit(main())
