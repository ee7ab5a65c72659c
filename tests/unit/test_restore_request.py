"""What a client may ask for: every request as a line, and every way to ask amiss."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from asyncamanda.core.protocol.bounds import LONGEST_GLOB, LONGEST_PATH
from asyncamanda.core.restore.request import (
    LARGEST_REQUEST,
    At,
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    RestoreRequest,
    Resume,
    encode_request,
    gives_back,
    parse_request,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUN = "20261124151504"

REQUESTS: list[tuple[RestoreRequest, str]] = [
    (DisksRequest(), '{"type":"disks"}'),
    (
        ListRequest("/home"),
        '{"type":"list","disk":"/home","path":"","at":{"before":null,"run":""},"glob":"",'
        '"is_every_version":false,"is_deep":true,"has_owners":false}',
    ),
    (
        ListRequest("/home", "ana/caf\xe9".encode(), At(before=NOON), b"*.txt", is_deep=False),
        '{"type":"list","disk":"/home","path":"ana/caf\\u00e9","at":{"before":'
        '"2026-11-20T12:00:00Z","run":""},"glob":"*.txt","is_every_version":false,'
        '"is_deep":false,"has_owners":false}',
    ),
    (
        ListRequest("/\udce9", b"\xe9 \n\x1b", At(run=RUN), is_every_version=True, has_owners=True),
        '{"type":"list","disk":"/\\udce9","path":"\\udce9 \\n\\u001b","at":{"before":null,'
        f'"run":"{RUN}"}},"glob":"","is_every_version":true,"is_deep":true,"has_owners":true}}',
    ),
    (
        FilesRequest("/", (b"", b"a/b"), is_dry_run=True, resume=Resume((RUN,), 7)),
        '{"type":"restore","disk":"/","paths":["","a/b"],"at":{"before":null,"run":""},'
        f'"is_dry_run":true,"has_owners":false,"resume":{{"dumps":["{RUN}"],"done":7}}}}',
    ),
    (
        RawRequest("/"),
        '{"type":"raw","disk":"/","at":{"before":null,"run":""},"level":null,"skip":0}',
    ),
    (
        RawRequest("/", At(run=RUN), 2, 10**12),
        f'{{"type":"raw","disk":"/","at":{{"before":null,"run":"{RUN}"}},"level":2,'
        '"skip":1000000000000}',
    ),
]


@pytest.mark.parametrize(("request_", "line"), REQUESTS)
def test_a_request_is_written_and_read(request_: RestoreRequest, line: str) -> None:
    """One line of ASCII whose keys are its fields, whatever bytes the names have."""
    assert encode_request(request_) == f"{line}\n".encode("ascii")
    assert parse_request(f"{line}\n".encode()) == request_
    assert parse_request(line.encode()) == request_


def test_what_is_not_said_is_as_it_mostly_is() -> None:
    """So an older client's request is understood, and one of a newer one that says more."""
    assert parse_request(b'{"type":"list","disk":"/"}') == ListRequest("/")
    assert parse_request(b'{"type":"restore","disk":"/","paths":["a"],"new":[{}]}') == FilesRequest(
        "/", (b"a",)
    )
    assert parse_request(b'{"type":"list","disk":"/","at":{}}') == ListRequest("/")
    assert parse_request(b'{"type":"disks","disk":7}') == DisksRequest()


@pytest.mark.parametrize(
    ("request_", "gives"),
    [
        (DisksRequest(), False),
        (ListRequest("/"), False),
        (FilesRequest("/", (b"",)), True),
        (FilesRequest("/", (b"",), is_dry_run=True), False),
        (RawRequest("/"), False),
        (RawRequest("/", level=0), True),
    ],
)
def test_what_gives_contents_back_is_known(request_: RestoreRequest, *, gives: bool) -> None:
    """That is counted, and written down."""
    assert gives_back(request_) is gives


LIST: dict[str, Any] = {"type": "list", "disk": "/"}
RAW: dict[str, Any] = {"type": "raw", "disk": "/"}
FILES: dict[str, Any] = {"type": "restore", "disk": "/", "paths": ["a"]}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (LIST | {"disk": None}, "disk: no text of at most 4096 characters"),
        (LIST | {"disk": "x" * 4097}, "disk: no text of at most 4096 characters"),
        ({"type": "list"}, "disk is missing"),
        (LIST | {"path": 1}, "path: no name of at most 65536 bytes"),
        (LIST | {"path": "x" * (LONGEST_PATH + 1)}, "path: no name of at most 65536 bytes"),
        (LIST | {"path": "\u20ac" * 30_000}, "path: no name of at most 65536 bytes"),
        (LIST | {"path": "a\0b"}, "path: no name of at most 65536 bytes"),
        (LIST | {"path": "\ud800"}, "path: no name that a file can have"),
        (LIST | {"path": "/a"}, "path: no path within a disk"),
        (LIST | {"path": "a/"}, "path: no path within a disk"),
        (LIST | {"path": "/"}, "path: no path within a disk"),
        (LIST | {"path": "."}, "path: no path within a disk"),
        (LIST | {"path": ".."}, "path: no path within a disk"),
        (LIST | {"path": "a/../b"}, "path: no path within a disk"),
        (LIST | {"path": "a/./b"}, "path: no path within a disk"),
        (LIST | {"path": "a//b"}, "path: no path within a disk"),
        (LIST | {"path": "../../etc/shadow"}, "path: no path within a disk"),
        (LIST | {"glob": "x" * (LONGEST_GLOB + 1)}, "glob: no name of at most 4096 bytes"),
        (LIST | {"at": None}, "at: no object"),
        (LIST | {"at": {"before": "yesterday"}}, "at: before: no time with its zone"),
        (LIST | {"at": {"before": "2026-11-20T12:00:00"}}, "at: before: no time with its zone"),
        (LIST | {"at": {"before": "9999-12-31T23:59:59Z"}}, "at: before: no time with its zone"),
        (LIST | {"at": {"run": "-1"}}, "at: run: no run's timestamp"),
        (LIST | {"at": {"run": RUN + "0"}}, "at: run: no run's timestamp"),
        (LIST | {"at": {"run": "\u0662" * 14}}, "at: run: no run's timestamp"),
        (LIST | {"is_deep": 1}, "is_deep: neither true nor false"),
        (LIST | {"is_deep": "yes"}, "is_deep: neither true nor false"),
        ({"type": "restore", "disk": "/"}, "paths is missing"),
        (FILES | {"paths": []}, "paths: none is named"),
        (FILES | {"paths": "a"}, "paths: no list"),
        (FILES | {"paths": ["a"] * 20_001}, "paths: a list of more than 20000"),
        (FILES | {"paths": ["a", "/b"]}, "paths: no path within a disk"),
        (FILES | {"paths": [None]}, "paths: no name of at most 65536 bytes"),
        (FILES | {"resume": {}}, "resume: dumps is missing"),
        (FILES | {"resume": {"dumps": [""], "done": 0}}, "resume: dumps: no run"),
        (FILES | {"resume": {"dumps": [RUN] * 401, "done": 0}}, "resume: dumps: a list of more"),
        (FILES | {"resume": {"dumps": [], "done": -1}}, "resume: done: no whole number from 0"),
        (FILES | {"resume": {"dumps": [], "done": True}}, "resume: done: no whole number from 0"),
        (FILES | {"resume": {"dumps": [], "done": 1.0}}, "resume: done: no whole number from 0"),
        (RAW | {"level": -1}, "level: no whole number from 0 to 399"),
        (RAW | {"level": 400}, "level: no whole number from 0 to 399"),
        (RAW | {"level": "0"}, "level: no whole number from 0 to 399"),
        (RAW | {"skip": -1}, "skip: no whole number from 0"),
        (RAW | {"skip": None}, "skip: no whole number from 0"),
        ({"type": "raw"}, "disk is missing"),
        ({"type": "talk"}, "type: none of disks, list, restore, raw"),
        ({"type": ["list"]}, "type: none of disks, list, restore, raw"),
        ({"disk": "/"}, "type: none of disks, list, restore, raw"),
        ([LIST], "type: none of disks, list, restore, raw"),
        (7, "type: none of disks, list, restore, raw"),
    ],
)
def test_what_is_asked_amiss_is_named_and_not_quoted(value: object, fault: str) -> None:
    """By its key; a client's words go into no log."""
    with pytest.raises(ValueError, match=f"^{fault}"):
        parse_request(json.dumps(value).encode())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"\xff\xfe",
        b"\0" * 100,
        b"restore /home",
        b'{"type":"disks"}{"type":"disks"}',
        b'{"type":"disks"}\n{"type":"disks"}\n',
        b'{"type":"disks"',
        b"[" * 100_000,
        b'{"type":' * 100_000,
        b"9" * 100_000,
    ],
)
def test_what_is_no_json_is_no_request(line: bytes) -> None:
    """However deep it is, and whatever bytes it has."""
    with pytest.raises(ValueError, match=r"^not JSON$"):
        parse_request(line)


def test_a_line_has_a_bound() -> None:
    """On either side."""
    line = b'{"type":"disks","more":"' + b"x" * LARGEST_REQUEST + b'"}'
    with pytest.raises(ValueError, match=r"^more than 1048576 bytes$"):
        parse_request(line)
    many = FilesRequest("/", tuple(b"%060000d" % number for number in range(20)))
    with pytest.raises(ValueError, match=r"^more than 1048576 bytes$"):
        encode_request(many)


@pytest.mark.parametrize(
    "request_",
    [
        ListRequest("/", b"/a"),
        ListRequest("/", b"a/.."),
        ListRequest("/", b"a\0"),
        ListRequest("/", b"x" * (LONGEST_PATH + 1)),
        ListRequest("/", glob=b"\0"),
        FilesRequest("/", (b"", b"a", b"b/")),
        ListRequest("x" * 5000),
    ],
)
def test_what_the_server_would_refuse_is_not_sent(request_: RestoreRequest) -> None:
    """Names are not changed; it is said at the client."""
    with pytest.raises(ValueError, match=r"^(path|paths|glob|disk): no "):
        encode_request(request_)
