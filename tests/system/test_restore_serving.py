"""What a client that wants files back is answered: what it asked for, and what is said of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from tests.system.holdings import IMAGES, NOON, OLDER, PLAN, RUN, MadeUpFiles, MadeUpHoldings

from asyncamanda.core.restore.answer import (
    AnswerDecoder,
    DiskAnswer,
    FileVersion,
    MissingFile,
    OtherLine,
    RestoreAnswer,
    RestoreDone,
    UnmatchedPath,
)
from asyncamanda.core.restore.request import (
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    RestoreRequest,
)
from asyncamanda.errors import BadDataError
from asyncamanda.server.restore.answer_streams import AnswerStreams
from asyncamanda.server.restore.serving import answer_request


@dataclass
class Client:
    """One that asks, and keeps what it is answered; `recorded` is what the server writes down."""

    holdings: MadeUpHoldings = field(default_factory=MadeUpHoldings)
    output: bytes = b""
    answers: list[RestoreAnswer | OtherLine] = field(default_factory=list)
    recorded: list[object] = field(default_factory=list)
    _counts: Callable[[], tuple[int, int]] | None = None

    def ask(self, request: RestoreRequest) -> None:
        """Ask; what is answered fits into pipes."""
        ends = [os.pipe() for _ in range(2)]
        try:
            voice = AnswerStreams(ends[0][1], ends[1][1])
            answer_request(request, self.holdings, voice, self)
        finally:
            self.recorded += [self._counts()] if self._counts else []
            for _, writer in ends:
                os.close(writer)
            pieces = []
            for reader, _ in ends:
                with open(reader, "rb") as pipe:  # noqa: PTH123
                    pieces.append(pipe.read())
            self.output = pieces[0]
            self.answers = AnswerDecoder().feed(pieces[1])

    def begin(
        self,
        request: FilesRequest | RawRequest,
        run: str,
        counts: Callable[[], tuple[int, int]],
    ) -> None:
        """Note that files are given back, and what was in the end."""
        what = request.level if isinstance(request, RawRequest) else request.paths
        self.recorded.append((what, run))
        self._counts = counts


def test_disks_are_told_one_by_one() -> None:
    """And that those were all."""
    client = Client()
    client.ask(DisksRequest())
    disk, done = client.answers
    assert isinstance(disk, DiskAnswer)
    assert (disk.disk, done, client.output) == ("/home", RestoreDone(0, 0), b"")


@pytest.mark.parametrize(
    ("request_", "output"),
    [
        (ListRequest("/home"), b"Da\0Ya/\xe9\0Da/b\0Na/b/c.txt\0Yd.txt\0"),
        (ListRequest("/home", is_deep=False), b"Da\0Yd.txt\0"),
        (ListRequest("/home", b"a", is_deep=False), b"Ya/\xe9\0Da/b\0"),
        (ListRequest("/home", b"a/b/c.txt"), b"Na/b/c.txt\0"),
        (ListRequest("/home", b"a/b/c.txt", is_deep=False), b"Na/b/c.txt\0"),
        (ListRequest("/home", glob=b"*.txt"), b"Na/b/c.txt\0Yd.txt\0"),
        (ListRequest("/home", b"a", glob=b"*.txt"), b"Na/b/c.txt\0"),
        (ListRequest("/home", glob=b"nothing"), b""),
        (
            ListRequest("/home", has_owners=True),
            b"@750:1000:100:02:\0Da\0@750:1000:100:02:a\0Ya/\xe9\0Da/b\0Na/b/c.txt\0Yd.txt\0",
        ),
        (
            ListRequest("/home", b"a", is_deep=False, has_owners=True),
            b"@750:1000:100:02:\0@750:1000:100:02:a\0Ya/\xe9\0Da/b\0",
        ),
        (
            ListRequest("/home", b"a/\xe9", has_owners=True),
            b"@750:1000:100:02:\0@750:1000:100:02:a\0Ya/\xe9\0",
        ),
    ],
)
def test_names_are_records(request_: ListRequest, output: bytes) -> None:
    """A flag, a path in the disk, a NUL; and with owners each folder before what is in it."""
    client = Client()
    client.ask(request_)
    assert client.output == output
    names = [record for record in output.split(b"\0") if record and not record.startswith(b"@")]
    assert client.answers == [PLAN, RestoreDone(len(names), 0)]
    assert client.holdings.asked == [request_]
    assert client.recorded == []


def test_a_name_that_was_not_there_is_told_with_others_near_it() -> None:
    """Never as an empty list; and no more of them than fit in a line."""
    client = Client()
    with pytest.raises(BadDataError) as error:
        client.ask(ListRequest("/home", b"z"))
    assert error.value.reference == "nothing-matched"
    plan, unmatched = client.answers
    assert (plan, client.output) == (PLAN, b"")
    assert isinstance(unmatched, UnmatchedPath)
    assert (unmatched.path, unmatched.near[:2]) == (b"z", (b"zx", b"0"))
    assert len(unmatched.near) < 20


def test_versions_are_told_and_whose_folders_they_were_to_who_has_to_judge() -> None:
    """In each dump in which the path is."""
    version = FileVersion(b"a/b", RUN, NOON, "D", 7, NOON, True)
    for has_owners, ways in [(False, ()), (True, ("755:0:0:",))]:
        client = Client()
        client.ask(ListRequest("/home", b"a/b", is_every_version=True, has_owners=has_owners))
        assert client.answers == [replace(version, ways=ways), RestoreDone(1, 0)]
    client = Client()
    with pytest.raises(BadDataError, match="nothing of that name"):
        client.ask(ListRequest("/home", b"z", is_every_version=True))
    assert client.answers == [UnmatchedPath(b"z")]


def test_files_are_sent_and_written_down() -> None:
    """First what it will be and what is missing, last what it was."""
    client = Client(MadeUpHoldings(MadeUpFiles(missing=[(b"a/\xe9", "its dump failed")])))
    client.ask(FilesRequest("/home", (b"a", b"z")))
    assert client.answers == [
        PLAN,
        MissingFile(b"a/\xe9", "its dump failed"),
        MissingFile(b"a/b/c.txt", "the dump does not have it"),
        RestoreDone(3, 300),
    ]
    assert len(client.output) == 300
    assert client.recorded == [((b"a", b"z"), RUN), (3, 300)]


def test_what_matches_is_sent_though_something_else_does_not() -> None:
    """Only where nothing does there is nothing to be had, and nothing to be written down."""
    files = MadeUpFiles(unmatched=[(b"z", (b"zx",))])
    client = Client(MadeUpHoldings(files))
    client.ask(FilesRequest("/home", (b"a", b"z")))
    assert UnmatchedPath(b"z", (b"zx",)) in client.answers
    assert client.answers[-1] == RestoreDone(3, 300)
    client = Client(MadeUpHoldings(files))
    with pytest.raises(BadDataError, match="nothing of that name"):
        client.ask(FilesRequest("/home", (b"z", b"z")))
    assert (client.output, client.recorded) == (b"", [])


def test_what_would_come_back_is_told_without_it() -> None:
    """Nothing is written down; who has to judge gets the names."""
    client = Client()
    client.ask(FilesRequest("/home", (b"a",), is_dry_run=True))
    assert (client.answers, client.output) == ([PLAN, RestoreDone(0, 0)], b"")
    client.ask(FilesRequest("/home", (b"a",), is_dry_run=True, has_owners=True))
    assert client.output.startswith(b"@750:1000:100:02:\0Da\0@750")
    assert client.recorded == []


def test_what_was_sent_until_a_fault_is_written_down() -> None:
    """And nobody is told that it is done."""
    client = Client(MadeUpHoldings(MadeUpFiles(fault=BadDataError("x", "it is broken", "no"))))
    with pytest.raises(BadDataError, match="it is broken"):
        client.ask(FilesRequest("/home", (b"a",)))
    assert client.recorded == [((b"a",), RUN), (1, 100)]
    assert client.answers == [PLAN]


# -- whole images


def test_without_a_level_only_the_images_are_told() -> None:
    """Nothing is given back, so nothing is written down."""
    client = Client()
    client.ask(RawRequest("/home"))
    assert client.answers == [IMAGES, RestoreDone(0, 0)]
    assert (client.output, client.recorded) == (b"", [])


@pytest.mark.parametrize(("level", "run", "size"), [(0, OLDER, 300), (1, RUN, 200)])
def test_an_image_is_sent_and_written_down(level: int, run: str, size: int) -> None:
    """By the run that has made it; its whole size is told, whatever was skipped."""
    client = Client()
    client.ask(RawRequest("/home", level=level))
    whole = client.output
    assert len(whole) == size
    assert client.answers == [IMAGES, RestoreDone(1, size)]
    assert client.recorded == [(level, run), (1, size)]
    client = Client()
    client.ask(RawRequest("/home", level=level, skip=130))
    assert client.output == whole[130:]
    assert client.answers == [IMAGES, RestoreDone(1, size)]
    assert client.recorded == [(level, run), (1, size - 130)]


def test_of_a_level_that_is_not_there_nothing_is_sent() -> None:
    """Nor is it written down."""
    client = Client()
    with pytest.raises(BadDataError, match="there is none"):
        client.ask(RawRequest("/home", level=2))
    assert (client.output, client.recorded) == (b"", [])
