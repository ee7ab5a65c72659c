"""What the property tests are tried with."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from asyncamanda.core.amanda.amandates import LATEST_SECOND, Row
from asyncamanda.core.model import (
    Attempt,
    BackupState,
    DiskRule,
    DumpRecord,
    Memory,
    Outcome,
    Peer,
    Policy,
    Span,
    Started,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

# what Python makes of a file's bytes: UTF-8, and a lone surrogate for each other byte
decoded_texts = st.binary(max_size=80).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
hostile_characters = st.sampled_from(
    list(" \t\n\r\f\v\"\\':/01n\x7f\x85\u2028é\udce9\ud7ff\U0001f4be")
)
texts = st.one_of(st.text(max_size=40), decoded_texts, st.text(hostile_characters, max_size=20))

# a name as the system has it: bytes without NUL
disk_names = texts.map(
    lambda text: (
        text.replace("\0", "").encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    )
)
levels = st.integers(0, 399)
seconds = st.one_of(
    st.integers(0, LATEST_SECOND),
    st.integers(-40 * 86_400, 40 * 86_400).map(lambda off: int(NOW.timestamp()) + off),
    st.sampled_from([0, 1, LATEST_SECOND]),
)
records = st.builds(
    DumpRecord, disk_names, levels, seconds.map(lambda s: datetime.fromtimestamp(s, UTC))
)

# lines that are nearly those of amandates
near_lines = st.builds(
    " ".join,
    st.lists(
        st.one_of(
            st.sampled_from(["/", '"a b"', '"', "\\", "0", "1", "400", "-1", "", "1795413303"]),
            decoded_texts,
            st.integers().map(str),
        ),
        max_size=5,
    ),
)
amandates_texts = st.one_of(
    texts,
    st.lists(near_lines, max_size=8).map("\n".join),
    st.lists(near_lines, max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines)),
)

# around now, where the decisions are
spans_of_time = st.integers(1, 90 * 86_400).map(lambda s: timedelta(seconds=s))
moments = st.integers(-60 * 86_400, 10 * 86_400).map(lambda s: NOW + timedelta(seconds=s))
spans = st.tuples(moments, moments).map(lambda ends: Span(min(ends), max(ends)))
few_names = st.sampled_from(["/", "/home", "/srv", ""])
rows: st.SearchStrategy[Row] = st.tuples(
    few_names, levels, st.one_of(moments.map(lambda m: int(m.timestamp())), seconds)
)
confirmed = st.dictionaries(few_names, st.tuples(levels, moments), max_size=4).map(
    lambda found: {name: DumpRecord(name, *dump) for name, dump in found.items()}
)
policies = st.builds(
    Policy,
    interval=spans_of_time,
    watch=st.sampled_from(DiskRule),
    disks=st.lists(few_names, max_size=3, unique=True).map(tuple),
    forget_after=spans_of_time,
    stale_after=spans_of_time,
)

any_moments = st.integers(86_400, LATEST_SECOND - 86_400).flatmap(
    lambda second: st.integers(0, 999_999).map(
        lambda micro: datetime.fromtimestamp(second, UTC) + timedelta(microseconds=micro)
    )
)
dumps = st.builds(DumpRecord, texts, levels, any_moments)
attempts = st.builds(
    Attempt,
    started_at=any_moments,
    ended_at=any_moments,
    outcome=st.sampled_from(Outcome),
    detail=texts,
    exit_status=st.none() | st.integers(0, 255),
    dumps=st.lists(dumps, max_size=2).map(tuple),
    times=st.integers(1, 1000),
    run=texts,
)
peers = st.builds(
    Peer,
    address=few_names,
    host_keys=st.lists(few_names, max_size=2).map(tuple),
    keys=st.lists(few_names, max_size=2).map(tuple),
    name=texts,
    command=few_names,
    amandates=few_names,
    client=few_names,
    amanda_config=texts,
    files=st.lists(texts, max_size=2).map(tuple),
    digest=texts,
)
memories = st.builds(
    Memory,
    since=any_moments,
    confirmed=st.lists(dumps, max_size=3).map(lambda each: {dump.disk: dump for dump in each}),
    distrusted=st.lists(st.builds(Span, any_moments, any_moments), max_size=3).map(tuple),
    started=st.none()
    | st.builds(Started, any_moments, any_moments, st.integers(1, 4_194_304), texts),
    attempts=st.lists(attempts, max_size=3).map(tuple),
    dles=st.none() | st.lists(texts, max_size=3).map(tuple),
    parked=st.lists(texts, max_size=3).map(tuple),
    asked_at=st.none() | any_moments,
    not_before=st.none() | any_moments,
    ticket=st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=100),
    is_doubted=st.booleans(),
    tries=st.integers(0, 1_000_000),
    retry_at=st.none() | any_moments,
    seen=texts,
    told=st.dictionaries(texts, st.sampled_from(BackupState), max_size=3),
    peer=st.none() | peers,
    past=st.lists(attempts, max_size=2).map(tuple),
)
