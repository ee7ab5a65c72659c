"""When a run of Amanda's counts as stuck, and what is done about it then.

Amanda has no patience of its own with what is stuck: a dumper that dies leaves its chunker, and so
the driver, waiting forever (tests/e2e/test_watchdog.py kills one); a client's program that hangs
holds the run as long as its connection stands. What is done, one step after the other: the stuck
client's streams are cut, which Amanda considers the dump's failure; the dump's chunker is ended;
the whole run is killed. Each has time to work before the next.

Time here is what has passed while the dispatcher ran (shift_time()), so that neither a clock that
is set nor a machine that sleeps ends anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import IntEnum

from asyncamanda.core.dispatch.marks import Mark, Moved, has_moved, is_still, set_mark
from asyncamanda.core.values.interval import format_interval
from asyncamanda.core.values.size import format_size

LONGEST_PAUSE = timedelta(seconds=5)  # between two checks: more is sleep, or a step of the clock
ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How long nothing may come of a run, or of one dump, before something is done.

    Fewer than `least_kilobytes` (KiB) within a bound are nothing. `step` is how long each thing
    that is done has to work, and how long a dump may lack its dumper or its stream.
    """

    silence: timedelta = timedelta(hours=4)
    dump_silence: timedelta = timedelta(hours=2)
    least_kilobytes: int = 1024
    step: timedelta = timedelta(minutes=2)

    @property
    def least(self) -> int:
        """The least in bytes."""
        return self.least_kilobytes * 1024


@dataclass(frozen=True, slots=True)
class DumpSight:
    """One dump that goes on. `moved` is how many bytes its chunker has read and written so far.

    Each part of it may be gone while the others wait: its dumper, its chunker, its stream.
    """

    host: str
    moved: int
    has_dumper: bool = True
    has_stream: bool = True
    has_chunker: bool = True


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be seen of a run.

    `lines` is the size of its log and trace in bytes, `moved` the bytes that each of its processes
    has read and written, by process id; `dumps` are those that go on, by the process ids of their
    chunkers, or of Amanda's ssh where there is none. `called` are the clients to which it has a
    connection. `is_bereft`: it had dumpers, and all have died.
    """

    lines: int = 0
    moved: Mapping[int, int] = field(default_factory=dict)
    dumps: Mapping[int, DumpSight] = field(default_factory=dict)
    called: tuple[str, ...] = ()
    is_bereft: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """Cut all streams of a client. `is_for_good`: it is not called again in this run."""

    host: str
    reason: str
    is_for_good: bool = False


@dataclass(frozen=True, slots=True)
class EndPart:
    """End a dump's chunker (or its ssh), so that the driver considers the dump failed."""

    pid: int
    host: str


@dataclass(frozen=True, slots=True)
class KillRun:
    """Kill all of the run. `blamed` are the clients whose silence blocked it."""

    reason: str
    blamed: tuple[str, ...]


Act = Cut | EndPart | KillRun


class _Step(IntEnum):
    NONE, CUT, ENDED, KILLED = range(4)


@dataclass(frozen=True, slots=True)
class _Alarm:
    """How far the steps have come, since when, and why: for silence, or for what is gone.

    `moved` is how much had by the first of them.
    """

    step: _Step = _Step.NONE
    at: timedelta = ZERO
    reason: str = ""
    is_silence: bool = False
    moved: Moved = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Watched:
    """A dump: how much has moved of it, and since when it lacks its dumper or stream."""

    marks: tuple[Mark, ...] = ()
    lacks_since: timedelta | None = None
    alarm: _Alarm = _Alarm()


@dataclass(frozen=True, slots=True)
class WatchState:
    """What is remembered of a run from one check to the next: the last, and what moved before."""

    seen: Sight | None = None
    marks: tuple[Mark, ...] = ()
    bereft_since: timedelta | None = None
    alarm: _Alarm = _Alarm()
    blamed: tuple[str, ...] = ()
    dumps: Mapping[int, _Watched] = field(default_factory=dict)


def shift_time(before: timedelta, passed: timedelta) -> timedelta:
    """Return the time of a check, `passed` by the wall clock after one at `before`."""
    return before + min(max(passed, ZERO), LONGEST_PAUSE)


def watch_run(
    watch: WatchState, sight: Sight, policy: WatchPolicy, now: timedelta
) -> tuple[WatchState, tuple[Act, ...]]:
    """Return what to remember after a check at `now`, and what is to be done, in that order."""
    acts: list[Act] = []
    dumps = {}
    for pid, dump in sight.dumps.items():
        watched = _see_dump(watch.dumps.get(pid), dump, policy, now)
        alarm = _raise(watched.alarm, _find_trouble(watched, dump, policy, now), policy, now)
        if alarm != watched.alarm:
            acts.append(_act_on_dump(alarm, pid, dump))
        dumps[pid] = replace(watched, alarm=alarm)
    watch = _see_run(replace(watch, dumps=dumps), sight, policy, now)
    watch, own = _act_on_run(watch, sight, policy, now)
    kills = [act for act in (*acts, *own) if isinstance(act, KillRun)]
    return watch, (_join(kills),) if kills else (*acts, *own)


def _join(kills: list[KillRun]) -> KillRun:
    """Return one of several: the first one's reason, and everybody who caused it."""
    blamed = dict.fromkeys(host for kill in kills for host in kill.blamed)
    return replace(kills[0], blamed=tuple(blamed))


# -- a dump


def _see_dump(
    before: _Watched | None, dump: DumpSight, policy: WatchPolicy, now: timedelta
) -> _Watched:
    """Return a dump as it is remembered, without an alarm if enough has moved since that."""
    before, moved = before or _Watched(), {0: dump.moved}
    marks = set_mark(before.marks, moved, policy.dump_silence, now)
    lacks = not (dump.has_dumper and dump.has_stream and dump.has_chunker)
    since = before.lacks_since
    return _Watched(
        marks,
        (now if since is None else since) if lacks else None,
        _calm(before.alarm, moved, policy),
    )


def _calm(alarm: _Alarm, moved: Moved, policy: WatchPolicy) -> _Alarm:
    """Return no alarm if enough has moved since it was raised."""
    return _Alarm() if has_moved(alarm.moved, moved, policy.least) else alarm


def _find_trouble(
    watched: _Watched, dump: DumpSight, policy: WatchPolicy, now: timedelta
) -> _Alarm | None:
    """Return the first alarm that a dump gives by now; None if it is not stuck."""
    moved = {0: dump.moved}
    if watched.lacks_since is not None and now - watched.lacks_since >= policy.step:
        return _Alarm(_Step.CUT, now, _tell_lack(dump), moved=moved)
    if is_still(watched.marks, moved, policy.least, policy.dump_silence, now):
        least = format_size(policy.least_kilobytes * 1024)
        bound = format_interval(policy.dump_silence)
        reason = f"no more than {least} of its dump arrived within {bound}"
        return _Alarm(_Step.CUT, now, reason, is_silence=True, moved=moved)
    return None


def _tell_lack(dump: DumpSight) -> str:
    if dump.has_dumper and dump.has_chunker:
        return "its stream is gone, and Amanda waits for it"
    part = "chunker" if dump.has_dumper else "dumper"
    return f"the {part} of its dump has died"


def _raise(alarm: _Alarm, trouble: _Alarm | None, policy: WatchPolicy, now: timedelta) -> _Alarm:
    """Return an alarm one step further, if its time has come. What was begun is continued."""
    if alarm.step is _Step.NONE:
        return trouble or alarm
    if now - alarm.at < policy.step:
        return alarm
    return replace(alarm, step=_Step(min(alarm.step + 1, _Step.KILLED)), at=now)


def _act_on_dump(alarm: _Alarm, pid: int, dump: DumpSight) -> Act:
    if alarm.step is _Step.CUT:
        return Cut(dump.host, alarm.reason, is_for_good=alarm.is_silence)
    if alarm.step is _Step.ENDED:
        return EndPart(pid, dump.host)
    return KillRun(alarm.reason, (dump.host,) if alarm.is_silence else ())


# -- the run


def _see_run(watch: WatchState, sight: Sight, policy: WatchPolicy, now: timedelta) -> WatchState:
    """Return a run as it is remembered, without an alarm if it made progress since."""
    if watch.seen is None or _has_stirred(watch.seen, sight):
        watch = replace(watch, marks=(), alarm=_Alarm(), blamed=())
    alarm = _calm(watch.alarm, sight.moved, policy)
    watch = replace(
        watch,
        seen=sight,
        marks=set_mark(watch.marks, sight.moved, policy.silence, now),
        alarm=alarm,
        blamed=watch.blamed if alarm == watch.alarm else (),
    )
    if not sight.is_bereft:
        return replace(watch, bereft_since=None)
    return replace(watch, bereft_since=now if watch.bereft_since is None else watch.bereft_since)


def _has_stirred(seen: Sight, sight: Sight) -> bool:
    """Return whether a line, or a process, has come since; or a process has gone."""
    return sight.lines != seen.lines or sight.moved.keys() != seen.moved.keys()


def _act_on_run(
    watch: WatchState, sight: Sight, policy: WatchPolicy, now: timedelta
) -> tuple[WatchState, tuple[Act, ...]]:
    """Return what to remember and to do about a run without progress. For its dumps see above."""
    alarm = watch.alarm
    if watch.bereft_since is not None and now - watch.bereft_since >= policy.step:
        if alarm.step is _Step.KILLED and now - alarm.at < policy.step:
            return watch, ()
        reason = "all dumpers of the run have died"
        alarm = _Alarm(_Step.KILLED, now, reason, moved=sight.moved)
        return replace(watch, alarm=alarm), (KillRun(alarm.reason, ()),)
    trouble = None
    if is_still(watch.marks, sight.moved, policy.least, policy.silence, now):
        reason = f"the run made no progress for {format_interval(policy.silence)}"
        trouble = _Alarm(_Step.CUT, now, reason, is_silence=True, moved=sight.moved)
    alarm = _raise(alarm, trouble, policy, now)
    if alarm == watch.alarm:
        return watch, ()
    if alarm.step is _Step.CUT:
        cuts = tuple(Cut(host, alarm.reason, is_for_good=True) for host in sight.called)
        return replace(watch, alarm=alarm, blamed=sight.called), cuts
    alarm = replace(alarm, step=_Step.KILLED)  # it has no chunker that could be ended
    return replace(watch, alarm=alarm), (KillRun(alarm.reason, watch.blamed),)
