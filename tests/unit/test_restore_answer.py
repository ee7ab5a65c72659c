"""What the server says to who wants files back: every answer, and every line that is none."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from asyncamanda.core.restore.answer import (
    LARGEST_ANSWER,
    LONGEST_WORDS,
    AnswerDecoder,
    DiskAnswer,
    DumpOfDisk,
    FileVersion,
    ImageOfDisk,
    ImagesPlan,
    MissingFile,
    OtherLine,
    QueuedRestore,
    RestoreAnswer,
    RestoreDone,
    RestoreFailed,
    RestorePlan,
    UnmatchedPath,
    encode_answer,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUN = "20261120120000"
PLAN = RestorePlan(RUN, NOON, 3, 1, 4096, (RUN,), ("a run failed in between",))

ANSWERS: list[tuple[RestoreAnswer, str]] = [
    (QueuedRestore(2), '{"type":"queued","place":2}'),
    (
        DiskAnswer("home", "/home", NOON, NOON, (DumpOfDisk(RUN, NOON, 0),), True),
        '{"type":"disk","disk":"home","device":"/home","first_at":"2026-11-20T12:00:00Z",'
        f'"last_at":"2026-11-20T12:00:00Z","runs":[{{"run":"{RUN}",'
        '"dumped_at":"2026-11-20T12:00:00Z","level":0}],"is_listable":true,"reason":"",'
        '"gone_at":null,"gone_with":"","has_images":false,"is_sealed":false}',
    ),
    (
        DiskAnswer("/\udce9", "/\udce9", None, None, (), False, "dumped by DUMP", NOON, "vol-3"),
        '{"type":"disk","disk":"/\\udce9","device":"/\\udce9","first_at":null,"last_at":null,'
        '"runs":[],"is_listable":false,"reason":"dumped by DUMP",'
        '"gone_at":"2026-11-20T12:00:00Z","gone_with":"vol-3","has_images":false,'
        '"is_sealed":false}',
    ),
    (
        ImagesPlan((ImageOfDisk(RUN, NOON, 0, "/sbin/dump", size=7),), ("a doubt",)),
        f'{{"type":"images","images":[{{"run":"{RUN}","dumped_at":"2026-11-20T12:00:00Z",'
        '"level":0,"maker":"/sbin/dump","is_tar":false,"size":7,"claims":"",'
        '"dle":"","unpacked_size":null}],"doubts":["a doubt"],"device":""}',
    ),
    (
        PLAN,
        f'{{"type":"plan","run":"{RUN}","dumped_at":"2026-11-20T12:00:00Z","files":3,"folders":1,'
        f'"size":4096,"dumps":["{RUN}"],"doubts":["a run failed in between"],"keeps_acls":false,'
        '"now":null,"device":"","excludes":[],"has_all_excludes":false}',
    ),
    (
        replace(PLAN, files=None, folders=None, size=None, doubts=(), keeps_acls=True),
        f'{{"type":"plan","run":"{RUN}","dumped_at":"2026-11-20T12:00:00Z","files":null,'
        f'"folders":null,"size":null,"dumps":["{RUN}"],"doubts":[],"keeps_acls":true,'
        '"now":null,"device":"","excludes":[],"has_all_excludes":false}',
    ),
    (
        MissingFile(b"a/\xe9", "its dump failed"),
        '{"type":"missing","path":"a/\\udce9","reason":"its dump failed"}',
    ),
    (UnmatchedPath(b"a", (b"b", b"c")), '{"type":"unmatched","path":"a","near":["b","c"]}'),
    (
        FileVersion(b"a", RUN, NOON, "Y", 7, NOON, True, ("755:0:0:",)),
        f'{{"type":"version","path":"a","run":"{RUN}","dumped_at":"2026-11-20T12:00:00Z",'
        '"flag":"Y","size":7,"modified_at":"2026-11-20T12:00:00Z","is_changed":true,'
        '"ways":["755:0:0:"]}',
    ),
    (RestoreDone(3, 4096), '{"type":"done","files":3,"size":4096}'),
    (
        RestoreFailed(65, "nothing-matched", "no", "look"),
        '{"type":"failed","exit":65,"reference":"nothing-matched","message":"no","hint":"look"}',
    ),
]


@pytest.mark.parametrize(("answer", "line"), ANSWERS)
def test_an_answer_is_written_and_read(answer: RestoreAnswer, line: str) -> None:
    """One line of ASCII whose keys are its fields."""
    assert encode_answer(answer) == f"{line}\n".encode("ascii")
    assert AnswerDecoder().feed(f"{line}\n".encode()) == [answer]


def test_answers_of_other_versions_are_understood() -> None:
    """Of unknown types and keys nothing is said, and what has a default may be missing."""
    lines = (
        b'{"type":"progress","of":7}\n\n{"type":"unmatched","path":"a","more":{}}\n'
        b'{"type":"done","files":1,"size":2,"was":"good"}\n'
    )
    assert AnswerDecoder().feed(lines) == [UnmatchedPath(b"a"), RestoreDone(1, 2)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            b"asyncamanda gate: this key may not run 'x'",
            "asyncamanda gate: this key may not run 'x'",
        ),
        (b"Warning:\tauthorised \x1b[31m use\r", r"Warning: authorised \x1b[31m use"),
        (b"\xff", "\ufffd"),
        (b'{"type":"done","files":-1,"size":0}', '{"type":"done","files":-1,"size":0}'),
        (b'{"type":"done","files":1}', '{"type":"done","files":1}'),
        (b'{"type":"missing","path":"../x","reason":""}', None),
        (b'{"type":"version","path":"a","run":"","dumped_at":"x","flag":"Z"}', None),
        (b'{"type":7}', '{"type":7}'),
        (b"7", "7"),
        (b"[" * 90_000, None),
    ],
)
def test_a_line_that_is_no_answer_is_words(line: bytes, words: str | None) -> None:
    """Which can be shown: an older gate's, or those of a shell's start."""
    (found,) = AnswerDecoder().feed(line + b"\n")
    assert isinstance(found, OtherLine)
    assert found.words.isprintable()
    assert len(found.words) <= LONGEST_WORDS
    if words is not None:
        assert found.words == words


def test_a_line_that_never_ends_is_not_kept() -> None:
    """Its beginning is words, and the next line is understood."""
    decoder = AnswerDecoder()
    found = [each for _ in range(40) for each in decoder.feed(b"x" * 100_000)]
    assert [len(each.words) for each in found if isinstance(each, OtherLine)] == [LONGEST_WORDS]
    assert decoder.feed(b'yy\n{"type":"queued","place":1}\n') == [QueuedRestore(1)]


def test_the_last_words_need_no_end() -> None:
    """Of a line that was cut; once they are said nothing is left."""
    decoder = AnswerDecoder()
    assert decoder.feed(b"Connection clo") == []
    assert decoder.end() == [OtherLine("Connection clo")]
    assert decoder.end() == []


def test_words_that_are_too_long_are_cut_and_names_are_not() -> None:
    """The client would refuse either."""
    failed = RestoreFailed(300, "x", "m" * 5000, "h")
    (found,) = AnswerDecoder().feed(encode_answer(failed))
    assert isinstance(found, RestoreFailed)
    assert (found.exit, len(found.message)) == (255, 2000)
    with pytest.raises(ValueError, match=r"^path: no path within a disk"):
        encode_answer(MissingFile(b"/etc/passwd", ""))
    with pytest.raises(ValueError, match=r"^more than"):
        encode_answer(UnmatchedPath(b"a", (b"\x01" * 60_000,) * 20))
    assert LARGEST_ANSWER == 1 << 20
