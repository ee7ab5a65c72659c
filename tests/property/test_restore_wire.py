"""Requests and answers of a restore: all that is said is understood, and no bytes do harm."""

import json
from datetime import datetime
from itertools import pairwise
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import any_moments, levels, texts

from asyncamanda.core.protocol.bounds import LATEST, check_path
from asyncamanda.core.restore.answer import (
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
from asyncamanda.core.restore.request import (
    At,
    DisksRequest,
    FilesRequest,
    ListRequest,
    RawRequest,
    RestoreRequest,
    Resume,
    encode_request,
    parse_request,
)

moments: st.SearchStrategy[datetime] = any_moments.filter(lambda moment: moment < LATEST)
parts = st.binary(min_size=1, max_size=12).filter(
    lambda name: name not in {b".", b".."} and not {*b"/\0"} & {*name}
)
paths = st.lists(parts, max_size=4).map(b"/".join)
near_paths = st.binary(max_size=12) | st.lists(
    parts | st.sampled_from([b"", b".", b".."]), max_size=4
).map(b"/".join)
globs = st.binary(max_size=12).map(lambda glob: glob.replace(b"\0", b"*"))
runs = st.text("0123456789", min_size=8, max_size=14)
counts = st.integers(0, 10**15)
ats = st.builds(At, st.none() | moments, st.just("") | runs)
resumes = st.builds(Resume, st.lists(runs, max_size=3).map(tuple), counts)
requests: st.SearchStrategy[RestoreRequest] = st.one_of(
    st.just(DisksRequest()),
    st.builds(ListRequest, texts, paths, ats, globs, st.booleans(), st.booleans(), st.booleans()),
    st.builds(
        FilesRequest,
        texts,
        st.lists(paths, min_size=1, max_size=4).map(tuple),
        ats,
        st.booleans(),
        st.booleans(),
        st.none() | resumes,
    ),
    st.builds(RawRequest, texts, ats, st.none() | levels, counts),
)
dumps = st.builds(DumpOfDisk, runs, moments, levels)
labels = texts.filter(str.isprintable)
images = st.builds(ImageOfDisk, runs, moments, levels, labels, st.booleans(), st.none() | counts)
answers: st.SearchStrategy[RestoreAnswer] = st.one_of(
    st.builds(QueuedRestore, st.integers(1, 10**9)),
    st.builds(
        DiskAnswer,
        texts,
        texts,
        st.none() | moments,
        st.none() | moments,
        st.lists(dumps, max_size=3).map(tuple),
        st.booleans(),
        texts,
        st.none() | moments,
        texts,
        st.booleans(),
    ),
    st.builds(
        ImagesPlan,
        st.lists(images, max_size=3).map(tuple),
        st.lists(texts, max_size=3).map(tuple),
    ),
    st.builds(
        RestorePlan,
        runs,
        moments,
        st.none() | counts,
        st.none() | counts,
        st.none() | counts,
        st.lists(runs, max_size=3).map(tuple),
        st.lists(texts, max_size=3).map(tuple),
        st.booleans(),
        st.none() | moments,
        texts,
    ),
    st.builds(MissingFile, paths, texts),
    st.builds(UnmatchedPath, paths, st.lists(paths, max_size=3).map(tuple)),
    st.builds(
        FileVersion,
        paths,
        runs,
        moments,
        st.sampled_from("YND"),
        st.none() | counts,
        st.none() | moments,
        st.booleans(),
        st.lists(texts, max_size=3).map(tuple),
    ),
    st.builds(RestoreDone, counts, counts),
    st.builds(RestoreFailed, st.integers(0, 255), st.just("no-such-disk"), texts, texts),
)

names = st.sampled_from(
    [
        "type",
        "disk",
        "path",
        "paths",
        "at",
        "before",
        "run",
        "glob",
        "resume",
        "dumps",
        "done",
        "level",
        "skip",
    ]
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        texts,
        st.sampled_from(["disks", "list", "restore", "raw", "done", "missing", "version", "plan"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=5),
    max_leaves=10,
)
near_lines = st.one_of(
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
    st.tuples(requests, st.dictionaries(names, values, max_size=2)).map(
        lambda both: json.dumps(json.loads(encode_request(both[0])) | both[1]).encode()
    ),
    st.tuples(answers, st.dictionaries(names, values, max_size=2)).map(
        lambda both: json.dumps(json.loads(encode_answer(both[0])) | both[1]).encode()
    ),
    st.tuples(requests.map(encode_request), st.integers(0, 200), st.binary(max_size=3)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
    ),
)


@given(requests)
def test_what_is_asked_is_what_is_understood(request: RestoreRequest) -> None:
    """Whatever bytes the names have, in one line of ASCII."""
    line = encode_request(request)
    assert line.isascii()
    assert line.find(b"\n") == len(line) - 1
    assert parse_request(line) == request


@given(near_lines)
def test_no_bytes_are_more_than_a_request(line: bytes) -> None:
    """They are one whose paths stay within the disk, or a fault in a few words."""
    try:
        request = parse_request(line)
    except ValueError as error:
        fault = str(error)
        assert fault.isascii() and fault.isprintable() and len(fault) < 100  # noqa: PT018
        return
    match request:
        case ListRequest():
            check_path(request.path)
        case FilesRequest():
            assert request.paths
            for path in request.paths:
                check_path(path)
        case DisksRequest():
            assert request == DisksRequest()
        case RawRequest():
            assert request.level is None or 0 <= request.level < 400
            assert request.skip >= 0
    assert parse_request(encode_request(request)) == request


@given(near_paths)
def test_a_path_is_written_in_one_way_or_refused(path: bytes) -> None:
    """So that no two of them mean one file, and none leads out."""
    is_fit = path == b"" or (
        b"\0" not in path and all(part not in {b"", b".", b".."} for part in path.split(b"/"))
    )
    try:
        check_path(path)
    except ValueError:
        assert not is_fit
    else:
        assert is_fit


@given(st.lists(answers, max_size=4))
def test_what_is_answered_is_what_is_heard(said: list[RestoreAnswer]) -> None:
    """Whatever the names and words in it, and to the microsecond."""
    assert AnswerDecoder().feed(b"".join(map(encode_answer, said))) == said


@given(st.lists(near_lines, max_size=5), st.lists(st.integers(0, 2000), max_size=6), answers)
def test_any_bytes_are_answers_or_words(
    lines: list[bytes], cuts: list[int], answer: RestoreAnswer
) -> None:
    """In whatever pieces they come; and what comes after them is understood."""
    stream = b"\n".join(lines) + b"\n"
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder = AnswerDecoder()
    found = [each for start, end in pairwise(bounds) for each in decoder.feed(stream[start:end])]
    assert found == AnswerDecoder().feed(stream)
    for each in found:
        assert isinstance(each, (*get_args(RestoreAnswer), OtherLine))
        assert not isinstance(each, OtherLine) or each.words.isprintable()
    assert decoder.feed(encode_answer(answer)) == [answer]
