"""The talk between agent and gate: every message, and every way to send none."""

import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from asyncamanda.core.model import DleProgress, DleVerdict, DumpState
from asyncamanda.core.protocol.codec import fit_record, read_record, write_record
from asyncamanda.core.protocol.messages import (
    LARGEST_FROM_CLIENT,
    LARGEST_FROM_SERVER,
    Again,
    BadLine,
    Bye,
    ClientMessage,
    DleState,
    Finished,
    Hello,
    Later,
    Noted,
    Open,
    Ping,
    Pong,
    Progress,
    Proof,
    Queued,
    Refused,
    Report,
    Running,
    ServerMessage,
    Shut,
    Submit,
    Welcome,
)
from asyncamanda.core.protocol.versions import choose_protocol, refuse_protocol
from asyncamanda.core.protocol.wire import client_decoder, encode, server_decoder

NOW = datetime(2026, 11, 24, 15, 15, 4, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = "2026-11-24"
RUN = "20261124151504"
TOKEN = "0123456789abcdef" * 2
FINISHED = Finished(
    RUN,
    NOW,
    (
        DleVerdict("laptop", "/", RUN, DumpState.HELD, 1, kilobytes=13792, has_begun=True),
        DleVerdict("laptop", "/srv", RUN, DumpState.MISSING, reason="no word"),
    ),
)
FINISHED_KEYS = (
    f'"run":"{RUN}","ended_at":"2026-11-24T15:15:04Z","verdicts":['
    f'{{"host":"laptop","disk":"/","timestamp":"{RUN}","state":"held","level":1,"reason":"",'
    '"kilobytes":13792,"is_strange":false,"has_begun":true,'
    '"has_failed_since":false,"dumped_at":null},'
    f'{{"host":"laptop","disk":"/srv","timestamp":"{RUN}","state":"missing","level":null,'
    '"reason":"no word","kilobytes":0,"is_strange":false,"has_begun":false,'
    '"has_failed_since":false,"dumped_at":null}]'
)
WELCOME = Welcome(
    protocol=1,
    software="asyncamanda 0.1.0",
    client="laptop",
    amanda_config="daily",
    now=NOW,
    heartbeat=15 * SECOND,
    dles=(
        DleState("/", DumpState.STORED, 0, NOW - 0.5 * SECOND, 36_000),
        DleState(
            "/srv",
            None,
            None,
            None,
            0,
            True,
            restorable_since=NOW - 9 * SECOND,
            program="GNUTAR",
            device="/raid/srv",
            proved_at=NOW - 9 * SECOND,
            proof_fault="gone",
        ),
    ),
    standing="idle",
    last=FINISHED,
    ticket="8-0b",
)

FROM_CLIENT: list[tuple[ClientMessage, str]] = [
    (
        Hello((1, 2), "asyncamanda 0.1.0", True, "7-0a", "a host"),
        '{"type":"hello","protocols":[1,2],"software":"asyncamanda 0.1.0","is_watching":true,'
        '"ticket":"7-0a","host_name":"a host","is_probe":false}',
    ),
    (Submit(), '{"type":"submit"}'),
    (Ping(), '{"type":"ping"}'),
    (Pong(), '{"type":"pong"}'),
    (Bye(), '{"type":"bye"}'),
    (
        Proof(1, RUN, False, 2, 4096, "/é\udce9"),
        f'{{"type":"proof","disk_number":1,"run":"{RUN}","is_good":false,"files":2,"size":4096,'
        '"reason":"/\\u00e9\\udce9"}',
    ),
    (
        Report(24 * HOUR, 168 * HOUR, None, 2 * HOUR, "on battery", 36 * HOUR, 1, DAY, (60, None)),
        '{"type":"report","interval":86400,"stale_after":604800,"stale_after_use":null,'
        '"deferred_for":7200,"deferred_reason":"on battery","used":129600,"gaps":1,'
        f'"day":"{DAY}","use_days":[60,null]}}',
    ),
    (
        Shut(TOKEN, 127, "no amandad\x1b\n"),
        f'{{"type":"shut","token":"{TOKEN}","status":127,"reason":"no amandad\\u001b\\n",'
        '"is_refused":false}',
    ),
    (
        Shut(TOKEN, 255, "", is_refused=True),
        f'{{"type":"shut","token":"{TOKEN}","status":255,"reason":"","is_refused":true}}',
    ),
]
FROM_SERVER: list[tuple[ServerMessage, str]] = [
    (
        WELCOME,
        '{"type":"welcome","protocol":1,"software":"asyncamanda 0.1.0","client":"laptop",'
        '"amanda_config":"daily","now":"2026-11-24T15:15:04Z","heartbeat":15,"dles":['
        '{"disk":"/","state":"stored","level":0,"confirmed_at":"2026-11-24T15:15:03.500000Z",'
        '"kilobytes":36000,"is_parked":false,"restorable_since":null,"program":"","device":"",'
        '"proved_at":null,"proof_fault":""},'
        '{"disk":"/srv","state":null,"level":null,"confirmed_at":null,"kilobytes":0,'
        '"is_parked":true,"restorable_since":"2026-11-24T15:14:55Z","program":"GNUTAR",'
        '"device":"/raid/srv","proved_at":"2026-11-24T15:14:55Z","proof_fault":"gone"}],'
        f'"standing":"idle","last":{{{FINISHED_KEYS}}},"ticket":"8-0b",'
        '"is_direct":false,"takes_proofs":false,"takes_reports":false}',
    ),
    (
        Queued(2, 3, 90.5 * SECOND, "runs"),
        '{"type":"queued","place":2,"of":3,"estimate":90.5,"reason":"runs"}',
    ),
    (
        Queued(1, 1, None, "collecting"),
        '{"type":"queued","place":1,"of":1,"estimate":null,"reason":"collecting"}',
    ),
    (Later(900 * SECOND, "full"), '{"type":"later","after":900,"reason":"full"}'),
    (
        Running("", NOW, 12),
        '{"type":"running","run":"","since":"2026-11-24T15:15:04Z","clients":12}',
    ),
    (
        Progress(RUN, (DleProgress("laptop", "/", 0, "dumping", 5, 10),)),
        f'{{"type":"progress","run":"{RUN}","dles":[{{"host":"laptop","disk":"/","level":0,'
        '"phase":"dumping","done_kilobytes":5,"total_kilobytes":10}]}',
    ),
    (FINISHED, f'{{"type":"finished",{FINISHED_KEYS}}}'),
    (
        Refused("revoked", "no", "ask", 77),
        '{"type":"refused","reference":"revoked","message":"no","hint":"ask","exit":77}',
    ),
    (Again(), '{"type":"again"}'),
    (Open(TOKEN), f'{{"type":"open","token":"{TOKEN}"}}'),
    (Noted(3), '{"type":"noted","disk_number":3}'),
    (Ping(), '{"type":"ping"}'),
    (Pong(), '{"type":"pong"}'),
]


@pytest.mark.parametrize(("message", "line"), FROM_CLIENT)
def test_what_a_client_says_is_written_and_read(message: ClientMessage, line: str) -> None:
    """Each message is one line whose keys are its fields."""
    assert encode(message) == f"{line}\n".encode()
    assert client_decoder().feed(f"{line}\n".encode()) == [message]


@pytest.mark.parametrize(("message", "line"), FROM_SERVER)
def test_what_the_server_says_is_written_and_read(message: ServerMessage, line: str) -> None:
    """Times are RFC 3339 in UTC, spans are seconds, what is not known is null."""
    assert encode(message) == f"{line}\n".encode()
    assert server_decoder().feed(f"{line}\n".encode()) == [message]


def test_a_name_that_is_no_utf_8_survives() -> None:
    """A lone surrogate stands for its byte, and goes over the line as its escape."""
    progress = Progress(RUN, (DleProgress("laptop", "/é\udce9", 0, "done", 1, 1),))
    assert rb"/\u00e9\udce9" in encode(progress)
    assert server_decoder().feed(encode(progress)) == [progress]


def test_a_time_is_written_in_utc() -> None:
    """Whatever zone it came with."""
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert encode(Running("", there, 1)) == encode(Running("", NOW, 1))


def test_a_line_is_read_in_whatever_pieces_it_comes() -> None:
    """Byte by byte, or several at once, with other line ends and blank lines between."""
    decoder = client_decoder()
    lines = encode(Ping()) + b"\r\n  \n" + encode(Bye())[:-1] + b"\r\n"
    one_by_one = [message for byte in lines for message in decoder.feed(bytes([byte]))]
    assert one_by_one == [Ping(), Bye()]
    assert decoder.feed(lines + b'{"type"') == [Ping(), Bye()]
    assert decoder.feed(b':"pong"}') == []
    assert decoder.feed(b"\n") == [Pong()]


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"telepathy","to":"all"}',
        b'{"type":"Hello"}',
        b'{"type":"badline","reason":"x"}',
        b'{"type":"dlestate"}',
        b'{"type":"__class__"}',
        *(encode(message) for message, _ in FROM_SERVER[:-2]),
    ],
)
def test_messages_of_another_kind_are_nothing(line: bytes) -> None:
    """A newer client may have more to say; and what only a server says, no client can."""
    assert client_decoder().feed(line + b"\n") == []


def test_what_came_later_may_be_missing() -> None:
    """An older server does not say it; any other key is needed."""
    older = FROM_SERVER[0][1]
    for key in (
        ',"is_direct":false,"takes_proofs":false,"takes_reports":false',
        ',"restorable_since":null,"program":"","device":"","proved_at":null,"proof_fault":""',
        ',"restorable_since":"2026-11-24T15:14:55Z","program":"GNUTAR","device":"/raid/srv"'
        ',"proved_at":"2026-11-24T15:14:55Z","proof_fault":"gone"',
    ):
        older = older.replace(key, "")
    assert "program" not in older
    assert "proved" not in older
    (heard,) = server_decoder().feed(f"{older}\n".encode())
    dles = tuple(
        replace(dle, restorable_since=None, program="", device="", proved_at=None, proof_fault="")
        for dle in WELCOME.dles
    )
    assert heard == replace(WELCOME, dles=dles)
    (bad,) = server_decoder().feed(older.replace(',"is_parked":false', "").encode() + b"\n")
    assert bad == BadLine("dles: is_parked is missing")


def test_further_keys_are_passed_over() -> None:
    """A newer side may add some, in the records within a message as well."""
    decoder = server_decoder()
    for message, line in FROM_SERVER:
        extended = line.replace("{", '{"colour":["green"],')
        assert decoder.feed(f"{extended}\n".encode()) == [message]


def test_a_hello_is_understood_for_ever() -> None:
    """Whatever a later client adds to it: so that it can be told who has to update."""
    line = (
        b'{"type":"hello","protocols":[7,8],"software":"asyncamanda 9","is_watching":false,'
        b'"ticket":"","host_name":"x","is_probe":true,'
        b'"wishes":{"compression":["zstd"]},"protocol":"8"}\n'
    )
    assert client_decoder().feed(line) == [
        Hello((7, 8), "asyncamanda 9", False, "", "x", is_probe=True)
    ]


HELLO = (
    '{"type":"hello","protocols":[1],"software":"x","is_watching":true,"ticket":"t",'
    '"host_name":"h","is_probe":false}'
)
NO_DISK = "disk_number: no whole number from 0 to 2000"
PROOF = '{"type":"proof","disk_number":0,"run":"","is_good":true,"files":1,"size":1,"reason":""}'
SHUT = f'{{"type":"shut","token":"{TOKEN}","status":0,"reason":"","is_refused":false}}'
NO_STATUS = "status: no whole number from 0 to 255"
NO_TOKENS = [
    '""',
    f'"{TOKEN[:-1]}"',
    f'"{TOKEN}0"',
    f'"{TOKEN.upper()}"',
    f'"{TOKEN[:-1]}g"',
    f'" {TOKEN[:-1]}"',
    f'"{TOKEN}\\n"',
    f'"{TOKEN[:-1]}\\u0663"',
    f'"{TOKEN[:-1]}\\udcff"',
    "null",
    "7",
    "true",
    f'["{TOKEN}"]',
    f'{{"token":"{TOKEN}"}}',
]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello", "not JSON"),
        ("{", "not JSON"),
        ("{} {}", "not JSON"),
        ("\ufeff{}", "not JSON"),
        ("[" * 4000, "not JSON"),
        ('{"a":' * 800, "not JSON"),
        ("NaN", "not JSON"),
        ('{"type":"bye","x":-Infinity}', "not JSON"),
        ("1" * 4096, "no object with a type"),
        ("5", "no object with a type"),
        ("null", "no object with a type"),
        ('["hello"]', "no object with a type"),
        ("{}", "no object with a type"),
        ('{"type":null}', "no object with a type"),
        ('{"type":["bye"]}', "no object with a type"),
        *(
            (HELLO.replace("false}", f"{value}}}"), "is_probe: neither true nor false")
            for value in ("null", "1", '"true"')
        ),
        (HELLO.replace("[1]", "1"), "protocols: no list"),
        (HELLO.replace("[1]", '"1"'), "protocols: no list"),
        (HELLO.replace("[1]", "{}"), "protocols: no list"),
        (HELLO.replace("[1]", "[true]"), "protocols: no whole number from 0 to 1000000000"),
        (HELLO.replace("[1]", "[1.0]"), "protocols: no whole number from 0 to 1000000000"),
        (HELLO.replace("[1]", '["1"]'), "protocols: no whole number from 0 to 1000000000"),
        (HELLO.replace("[1]", "[-1]"), "protocols: no whole number from 0 to 1000000000"),
        (HELLO.replace("[1]", f"[{10**400}]"), "protocols: no whole number from 0 to 1000000000"),
        (HELLO.replace('"x"', "7"), "software: no text of at most 200 characters"),
        (HELLO.replace('"x"', f'"{"x" * 201}"'), "software: no text of at most 200 characters"),
        (HELLO.replace('"x"', r'"\n2026 root: all is well"'), "software: text that does not print"),
        (HELLO.replace('"x"', r'"\u001b[2J"'), "software: text that does not print"),
        (HELLO.replace('"x"', r'"\udce9"'), "software: text that does not print"),
        (HELLO.replace('"t"', f'"{"7" * 101}"'), "ticket: no text of at most 100 characters"),
        (HELLO.replace('"t"', r'"7\u001b"'), "ticket: text that does not print"),
        (HELLO.replace('"t"', "null"), "ticket: no text of at most 100 characters"),
        (HELLO.replace(',"ticket":"t"', ""), "ticket is missing"),
        (HELLO.replace('"h"', f'"{"h" * 201}"'), "host_name: no text of at most 200 characters"),
        (HELLO.replace('"h"', r'"\u009b2J"'), "host_name: text that does not print"),
        (HELLO.replace('"h"', r'"a\u2028b"'), "host_name: text that does not print"),
        (HELLO.replace("false", '"no"'), "is_probe: neither true nor false"),
        *((SHUT.replace(f'"{TOKEN}"', token), "token: no token") for token in NO_TOKENS),
        (SHUT.replace('"status":0', '"status":256'), NO_STATUS),
        (SHUT.replace('"status":0', '"status":-1'), NO_STATUS),
        (SHUT.replace('"status":0', '"status":0.0'), NO_STATUS),
        (SHUT.replace('"status":0', '"status":null'), NO_STATUS),
        (SHUT.replace('"status":0', '"status":false'), NO_STATUS),
        (
            SHUT.replace('"reason":""', '"reason":7'),
            "reason: no text of at most 1000 characters",
        ),
        (SHUT.replace(',"reason":""', ""), "reason is missing"),
        (
            PROOF.replace('"disk_number":0', '"disk_number":-1'),
            NO_DISK,
        ),
        (
            PROOF.replace('"disk_number":0', '"disk_number":2001'),
            NO_DISK,
        ),
        (
            PROOF.replace('"disk_number":0', '"disk_number":"/home"'),
            NO_DISK,
        ),
        (PROOF.replace('"run":""', '"run":"../x"'), "run: no run's timestamp"),
        (PROOF.replace("true", "1"), "is_good: neither true nor false"),
        (
            PROOF.replace('"size":1', '"size":-1'),
            "size: no whole number from 0 to 1000000000000000",
        ),
        (PROOF.replace(',"files":1', ""), "files is missing"),
        (
            PROOF.replace('"reason":""', f'"reason":"{"x" * 1001}"'),
            "reason: no text of at most 1000 characters",
        ),
        (SHUT.replace("false", "0"), "is_refused: neither true nor false"),
        (SHUT.replace(',"is_refused":false', ""), "is_refused is missing"),
    ],
)
def test_what_a_client_sends_amiss_is_a_bad_line(line: str, reason: str) -> None:
    """It says what is wrong, quotes nothing of the line, and spoils no other."""
    lines = line.encode() + b"\n" + encode(Ping())
    assert client_decoder().feed(lines) == [BadLine(reason), Ping()]


@pytest.mark.parametrize(
    "line", [b"\xff", b'{"type":"bye\xe9"}', '{"type":"bye"}'.encode("utf-16"), b"\0"]
)
def test_what_is_no_utf_8_is_a_bad_line(line: bytes) -> None:
    """Nor is any other encoding guessed."""
    assert client_decoder().feed(line + b"\n") == [BadLine("not JSON")]


@pytest.mark.parametrize("token", NO_TOKENS)
def test_a_stream_is_asked_for_by_a_token_and_nothing_else(token: str) -> None:
    """It becomes a part of a command line at the client."""
    line = f'{{"type":"open","token":{token}}}\n'
    assert server_decoder().feed(line.encode()) == [BadLine("token: no token")]


@pytest.mark.parametrize("status", [0, 255])
def test_a_stream_ends_with_a_status(status: int) -> None:
    """The least and the greatest."""
    shut = Shut(TOKEN, status, "")
    assert client_decoder().feed(encode(shut)) == [shut]


QUEUED = '{"type":"queued","place":1,"of":1,"estimate":1,"reason":""}'
RUNNING = '{"type":"running","run":"","since":"2026-11-24T15:15:04Z","clients":1}'
REFUSED = '{"type":"refused","reference":"no","message":"","hint":"","exit":76}'
FINISHED_LINE = f'{{"type":"finished",{FINISHED_KEYS}}}'
NO_PLACE = "no whole number from 1 to 1000000000"
NO_SPAN = "not within 0 and ten years, in seconds"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (QUEUED.replace('"place":1', '"place":0'), f"place: {NO_PLACE}"),
        (QUEUED.replace('"of":1', '"of":1000000001'), f"of: {NO_PLACE}"),
        (QUEUED.replace('"estimate":1', '"estimate":-1'), f"estimate: {NO_SPAN}"),
        (QUEUED.replace('"estimate":1', '"estimate":1e999'), f"estimate: {NO_SPAN}"),
        (QUEUED.replace('"estimate":1', '"estimate":315360000.1'), f"estimate: {NO_SPAN}"),
        (QUEUED.replace('"estimate":1', f'"estimate":{10**400}'), f"estimate: {NO_SPAN}"),
        (QUEUED.replace('"estimate":1', '"estimate":true'), "estimate: no number"),
        (QUEUED.replace('"estimate":1', '"estimate":"1"'), "estimate: no number"),
        ('{"type":"later","after":null,"reason":""}', "after: no number"),
        (RUNNING.replace("Z", ""), "since: no time with its zone"),
        (RUNNING.replace("-24T", "-31T"), "since: no time with its zone"),
        (RUNNING.replace("2026-11-24T15:15:04Z", "now"), "since: no time with its zone"),
        (RUNNING.replace('"2026-11-24T15:15:04Z"', "1795413303"), "since: no time with its zone"),
        (
            RUNNING.replace("2026-11-24T15:15:04Z", "0001-01-01T00:00:00+01:00"),
            "since: no time with its zone",
        ),
        (REFUSED.replace("76", "256"), "exit: no whole number from 0 to 255"),
        (
            FINISHED_LINE.replace('"level":1', '"level":400'),
            "verdicts: level: no whole number from 0 to 399",
        ),
        (FINISHED_LINE.replace('"held"', '"eaten"'), "verdicts: state: no state of a dump"),
        (FINISHED_LINE.replace('"held"', '["held"]'), "verdicts: state: no state of a dump"),
        (FINISHED_LINE.replace('"held"', "null"), "verdicts: state: no state of a dump"),
        (
            FINISHED_LINE.replace("13792", "1e3"),
            "verdicts: kilobytes: no whole number from 0 to 1000000000000000",
        ),
        ('{"type":"progress","run":"","dles":[["laptop"]]}', "dles: no object"),
        ('{"type":"progress","run":"","dles":[{}]}', "dles: host is missing"),
        (
            FROM_SERVER[0][1].replace('"idle"', '"asleep"'),
            "standing: none of idle, queued, running",
        ),
        (FROM_SERVER[0][1].replace('"idle"', "[]"), "standing: none of idle, queued, running"),
        (
            FROM_SERVER[0][1].replace('"2026-11-24T15:14:55Z"', '"9999-01-01T00:00:00Z"'),
            "dles: restorable_since: no time with its zone",
        ),
        (
            FROM_SERVER[0][1].replace('"GNUTAR"', '"G\\u001b"'),
            "dles: program: text that does not print",
        ),
        (
            FROM_SERVER[0][1].replace('"/raid/srv"', f'"{"d" * 4097}"'),
            "dles: device: no text of at most 4096 characters",
        ),
        (
            FROM_SERVER[0][1].replace('"verdicts":[{', '"verdicts":[1,{'),
            "last: verdicts: no object",
        ),
    ],
)
def test_what_a_server_sends_amiss_is_a_bad_line(line: str, reason: str) -> None:
    """A number out of bounds, a time without a zone, a record within a message."""
    assert server_decoder().feed(f"{line}\n".encode()) == [BadLine(reason)]


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to each value within `value`, lists included; not to the type."""
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
        yield path
    elif path and path[-1] != "type":
        yield path
    for key, each in inner:
        yield from _leaves(each, (*path, key))


def _put(line: str, path: tuple[str | int, ...], change: Callable[[Any], object]) -> bytes:
    """Return `line` with the value at `path` changed."""
    value = json.loads(line)
    *way, last = path
    at = value
    for key in way:
        at = at[key]
    at[last] = change(at[last])
    return json.dumps(value).encode() + b"\n"


LEAVES = [(line, path) for _, line in FROM_SERVER for path in _leaves(json.loads(line))]


@pytest.mark.parametrize(
    ("line", "path"), LEAVES, ids=lambda part: ".".join(map(str, part))[:30] if part else ""
)
def test_every_field_of_a_server_has_a_bound(line: str, path: tuple[str | int, ...]) -> None:
    """A text, a number and a list: whatever is added to the protocol is bounded as well."""

    def exceed(value: object) -> object:
        if isinstance(value, str):
            return "7" * 5000
        return (value * 2001)[:2001] if isinstance(value, list) else 10**18

    (found,) = server_decoder().feed(_put(line, path, exceed))
    assert isinstance(found, BadLine), path
    assert str(path[-1] if isinstance(path[-1], str) else path[-2]) in found.reason


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("client", "-laptop", "client: a client's name begins with one of A-Z a-z 0-9 _"),
        ("client", "lap\x1btop", "client: a client's name has only A-Z a-z 0-9 _ . -"),
        ("client", 7, "client: no text"),
        ("amanda_config", "../x", "amanda_config: a configuration's name begins with one of A-Z "),
        ("software", "x\n", "software: text that does not print"),
        ("heartbeat", 3601, "heartbeat: not within 0 and an hour, in seconds"),
        ("now", "1969-12-31T23:59:59Z", "now: no time with its zone"),
        ("now", "9999-01-01T00:00:00Z", "now: no time with its zone"),
    ],
)
def test_a_welcome_is_held_to_what_amanda_and_the_registry_allow(
    key: str, value: object, reason: str
) -> None:
    """Names, spans, and times that any zone and any clock can show."""
    (found,) = server_decoder().feed(_put(FROM_SERVER[0][1], (key,), lambda _: value))
    assert isinstance(found, BadLine)
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("run", "is_one"),
    [
        ("", True),
        (RUN, True),
        ("20261124", True),
        ("2026112", False),
        (f"{RUN}0", False),
        ("2026112415150\u0663", False),
        (f"{RUN}\n", False),
        ("today", False),
    ],
)
def test_a_run_s_name_is_a_timestamp(run: str, *, is_one: bool) -> None:
    """Or nothing; Amanda's old ones have no time of day."""
    (found,) = server_decoder().feed(_put(RUNNING, ("run",), lambda _: run))
    assert (found == Running(run, NOW, 1)) is is_one
    (found,) = server_decoder().feed(
        _put(FINISHED_LINE, ("verdicts", 0, "timestamp"), lambda _: run)
    )
    assert isinstance(found, Finished) is is_one


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("host", "lap top", "dles: host: a client's name has only "),
        ("phase", "thinking", "dles: phase: none of estimating, "),
        ("phase", ["done"], "dles: phase: none of estimating, "),
        ("disk", "d" * 4097, "dles: disk: no text of at most 4096 characters"),
    ],
)
def test_progress_is_held_to_what_the_server_knows(key: str, value: object, reason: str) -> None:
    """Its own names and words."""
    line = encode(Progress(RUN, (DleProgress("laptop", "/", 0, "dumping", 5, 10),))).decode()
    (found,) = server_decoder().feed(_put(line, ("dles", 0, key), lambda _: value))
    assert isinstance(found, BadLine)
    assert found.reason.startswith(reason)


@dataclass(frozen=True, slots=True)
class Novelty:
    """A record with fields that nobody gave a bound."""

    novel: str
    numbers: tuple[int, ...]


def test_what_is_added_to_the_protocol_is_bounded_from_the_start() -> None:
    """Tightly, in what is read and in what is said; a text may be a key, and is not cut."""
    longest = Novelty("t" * 1000, (10**15,) * 2000)
    assert read_record(Novelty, write_record(longest) | {"numbers": [10**15] * 2000}) == longest
    assert fit_record(longest) == longest
    with pytest.raises(ValueError, match="novel: no text of at most 1000 characters"):
        read_record(Novelty, {"novel": "t" * 1001, "numbers": []})
    with pytest.raises(ValueError, match="novel: no text of at most 1000 characters"):
        fit_record(Novelty("t" * 1001, ()))


def test_what_is_at_its_bound_is_taken() -> None:
    """Names of PATH_MAX, as many disks as a client may have, and the ends of time."""
    verdict = replace(FINISHED.verdicts[0], disk="d" * 4096, reason="r" * 1000)
    first, last = datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)
    for message in (
        replace(WELCOME, client="c" * 253, amanda_config="d" * 64, heartbeat=timedelta(hours=1)),
        replace(WELCOME, dles=(DleState("/", None, None, None),) * 2000),
        replace(WELCOME, now=first),
        Finished(RUN, last, (verdict,)),
        Refused("r" * 60, "m" * 2000, "h" * 2000, 255),
    ):
        assert server_decoder().feed(encode(message)) == [message]


def test_what_is_said_is_brought_within_the_bounds() -> None:
    """Words are cut, numbers and times are at their bound: they came from logs."""
    verdict = DleVerdict("h", "/", RUN, DumpState.FAILED, 999, "r" * 5000, 10**18)
    said = Finished(RUN, datetime(9999, 12, 31, tzinfo=UTC), (verdict,))
    (heard,) = server_decoder().feed(encode(said))
    assert isinstance(heard, Finished)
    assert heard.ended_at == datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert heard.verdicts == (
        replace(verdict, level=399, reason="r" * 997 + "...", kilobytes=10**15),
    )
    (queued,) = server_decoder().feed(encode(Queued(0, 10**10, timedelta(days=9999), "")))
    assert queued == Queued(1, 10**9, timedelta(days=3650), "")
    (refused,) = server_decoder().feed(encode(Refused("no", "m" * 3000, "h" * 3000, 777)))
    assert refused == Refused("no", "m" * 1997 + "...", "h" * 1997 + "...", 255)
    (hello,) = client_decoder().feed(encode(Hello((1,), "x\x1b" + "y" * 300, False)))
    assert hello == Hello((1,), r"x\x1b" + "y" * 192 + "...", False)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Progress(RUN, (DleProgress("h", "d" * 4097, 0, "done", 1, 1),)), "dles: disk: no text"),
        (replace(FINISHED, run="last night"), "run: no run's timestamp"),
        (replace(WELCOME, client="a b"), "client: a client's name"),
        (replace(WELCOME, dles=WELCOME.dles * 1001), "dles: a list of more than 2000"),
        (Refused("No!", "", "", 77), "reference: no reference"),
    ],
)
def test_a_name_that_cannot_be_said_is_not_changed(message: ServerMessage, reason: str) -> None:
    """It would be another one's."""
    with pytest.raises(ValueError, match=reason):
        encode(message)


def test_ten_years_are_a_span() -> None:
    """The longest, and none at all."""
    for span in (timedelta(days=3650), timedelta(0), timedelta(microseconds=1)):
        assert server_decoder().feed(encode(Later(span, ""))) == [Later(span, "")]


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    """Its end does not count."""
    decoder = client_decoder()
    longest = encode(Bye())[:-1].ljust(LARGEST_FROM_CLIENT)
    assert decoder.feed(longest + b"\n") == [Bye()]
    assert decoder.feed(longest + b" \n") == [BadLine("too long")]
    assert server_decoder().feed(longest + b" \n") == []  # a longer line, of an unknown type


def test_a_line_that_is_too_long_is_told_once_and_skipped_to_its_end() -> None:
    """As soon as it is seen; what follows in it is no message, and the next line is."""
    decoder = client_decoder()
    assert decoder.feed(b"[" * LARGEST_FROM_CLIENT) == []
    assert decoder.feed(b"[") == [BadLine("too long")]
    assert decoder.feed(encode(Bye())[:-1]) == []
    assert decoder.feed(b"[" * 3 * LARGEST_FROM_CLIENT) == []
    assert decoder.feed(b"\n" + encode(Ping())) == [Ping()]
    assert decoder.feed(b"[" * 5000 + b"\n" + encode(Pong())) == [BadLine("too long"), Pong()]


def test_a_line_without_end_takes_no_memory() -> None:
    """However much of it comes."""
    decoder, piece = server_decoder(), b"x" * 65_536
    tracemalloc.start()
    try:
        found = [each for _ in range(256) for each in decoder.feed(piece)]
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [BadLine("too long")]
    assert peak < 4 * LARGEST_FROM_SERVER
    assert kept < LARGEST_FROM_SERVER / 8


@pytest.mark.parametrize(
    ("theirs", "ours", "chosen"),
    [
        ((1,), (1,), 1),
        ((1, 2, 3), (2, 3, 4), 3),
        ((3, 1, 2), (1, 2), 2),
        ((2, 2), (2,), 2),
        ((2,), (1,), None),
        ((1,), (2, 3), None),
        ((), (1,), None),
    ],
)
def test_the_highest_common_protocol_is_chosen(
    theirs: tuple[int, ...], ours: tuple[int, ...], chosen: int | None
) -> None:
    """In whatever order they are told; none is in common if none is."""
    assert choose_protocol(theirs, ours) == chosen


@pytest.mark.parametrize(
    ("theirs", "ours", "message", "hint"),
    [
        (
            (3, 4),
            (1, 2),
            "the server's asyncamanda is too old for this client's: "
            "the client speaks protocol 4 at most, the server 2",
            "ask the server's administrator to update asyncamanda there",
        ),
        (
            (1,),
            (2, 3),
            "this client's asyncamanda is too old for the server's: "
            "the client speaks protocol 1 at most, the server 3",
            "update asyncamanda on this client",
        ),
        (
            (),
            (1,),
            "this client's asyncamanda is too old for the server's: "
            "the client speaks protocol 0 at most, the server 1",
            "update asyncamanda on this client",
        ),
    ],
)
def test_a_refusal_says_which_side_has_to_update(
    theirs: tuple[int, ...], ours: tuple[int, ...], message: str, hint: str
) -> None:
    """The client's user reads it, with the exit code for a protocol mismatch."""
    assert refuse_protocol(theirs, ours) == Refused("protocol", message, hint, 76)
