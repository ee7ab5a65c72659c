"""What installing or removing would change: whole files, before and after."""

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from asyncamanda.client.notify.handoff import FILE_NAME
from asyncamanda.client.schedule.machine import choose_kind, find_program, look_at_machine
from asyncamanda.client.schedule.record import (
    ScheduleRecord,
    WrittenFile,
    check_ours,
    hash_text,
    read_own,
    read_place,
    read_record,
)
from asyncamanda.client.start.sealing import is_sealing
from asyncamanda.client.start.settings import find_handoff
from asyncamanda.config.client import SYSTEM_FILE, ClientConfig
from asyncamanda.core.amanda.client_conf import ARGV, parse_client_conf
from asyncamanda.core.schedule import schedule
from asyncamanda.core.schedule.schedule import ScheduleFile, ScheduleKind, ScheduleTarget
from asyncamanda.core.schedule.systemd import Starts
from asyncamanda.errors import ConfigurationError, RefusedError
from asyncamanda.system.account import find_user
from asyncamanda.system.programs import run_program

MAIL_PLACES = (Path("/var/spool"), Path("/var/mail"), Path("/var/log"))  # an MTA's
_PLAIN = re.compile(r"[\w./+,@=-]+")  # these mean nothing special to systemd, cron or a shell

Commands = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A file's whole text before and after; None where there is no file."""

    path: Path
    before: str | None
    after: str | None
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Installation:
    """What installing means: `kept` are files of an earlier kind that were changed by hand.

    `starting` are those of `commands` that start a cron, or anacron, which does not run.
    """

    kind: ScheduleKind
    changes: tuple[Change, ...]
    kept: tuple[Path, ...]
    before: Commands
    commands: Commands
    starting: Commands
    during: ScheduleRecord
    afterwards: ScheduleRecord
    is_unfinished: bool

    @property
    def is_needed(self) -> bool:
        """Whether installing would change anything."""
        return self.is_unfinished or bool(self.starting)


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing means: `kept` are files that were changed by hand."""

    changes: tuple[Change, ...]
    kept: tuple[Path, ...]
    before: Commands
    commands: Commands
    afterwards: ScheduleRecord | None


def plan_install(
    kind: ScheduleKind | None, program: tuple[str, ...], settings: ClientConfig, config: Path
) -> Installation:
    """Return what has to change; `config` is the file that `settings` is from.

    Raises ConfigurationError for what is missing here, RefusedError for a file that is not
    asyncamanda's, and BadDataError if the record of what was written is invalid.
    """
    chosen, machine, record = choose_kind(kind), look_at_machine(), read_record()
    files = schedule.render_schedule(chosen, _plan_starts(program, settings, config), machine)
    changes = [change for file in files if (change := _plan_file(file, record))]
    paths = {Path(file.path) for file in files}
    old = [entry for entry in (record.entries if record else ()) if entry.path not in paths]
    gone, kept = _plan_removals(old, force=False)
    entries = [
        WrittenFile(Path(file.path), (hash_text(file.text),), file.is_block) for file in files
    ]
    afterwards = ScheduleRecord(chosen, (*entries, *kept), is_done=True)
    has_gate = settings.command is None
    commands = schedule.plan_enable(chosen, machine, has_gate=has_gate)
    disabling = _plan_disable(gone, machine)
    # what switches units on lets systemd read them, too
    starting = () if chosen is ScheduleKind.SYSTEMD else commands
    reload = () if chosen is ScheduleKind.SYSTEMD else _plan_reload(disabling, machine)
    return Installation(
        kind=chosen,
        changes=(*changes, *gone),
        kept=tuple(entry.path for entry in kept),
        before=disabling,
        commands=(*reload, *commands),
        starting=starting,
        during=_merge(record, afterwards),
        afterwards=afterwards,
        is_unfinished=bool(
            changes or gone or record != afterwards or not (starting or _is_enabled(commands))
        ),
    )


def _plan_starts(program: tuple[str, ...], settings: ClientConfig, config: Path) -> Starts:
    account = find_user(settings.user)
    home, textfile = Path(account.pw_dir), settings.notify.textfile
    writable = [settings.amandates.parent, *([textfile.parent] if textfile else [])]
    lists = _find_lists()
    if lists and not any(lists.is_relative_to(folder) for folder in writable):
        writable.append(lists)
    places = [
        str(home.joinpath(*path.parts[1:]) if path.parts[:1] == ("~",) else path)
        for path in (*writable, *(MAIL_PLACES if settings.notify.mail else ()))
    ]
    starts = Starts(
        is_sealing=is_sealing(),
        program=program,
        user=account.pw_name,
        options=() if config == SYSTEM_FILE else ("--config", str(config)),
        desktop=str(find_handoff(str(config))[0] / FILE_NAME),
        writable=tuple(places),
        has_gate=settings.command is None,
    )
    for word in (*program, *starts.options, *places, starts.user):
        if not _PLAIN.fullmatch(word):
            raise ConfigurationError(
                "odd-name",
                f"{word!r} has a character that is special to a timer or a shell",
                "use a place with letters, digits and . _ - + , @ = / in its name",
            )
    return starts


def _find_lists() -> Path | None:
    """Return where GNU tar's snapshots are, according to Amanda; None if it does not say."""
    answer = run_program(ARGV)
    place = parse_client_conf(answer.stdout).get("gnutar_list_dir", "")
    return Path(place) if answer.status == 0 and place.startswith("/") else None


def _plan_file(file: ScheduleFile, record: ScheduleRecord | None) -> Change | None:
    path = Path(file.path)
    before, mode, after = read_place(path), file.mode, file.text
    if file.is_block:
        after = schedule.add_block(before or "", file.text)
    else:
        check_ours(path, before, record)
    if before is not None:
        found = stat.S_IMODE(path.stat().st_mode)
        mode = found if file.is_block else mode
        if (before, found) == (after, mode):
            return None
    return Change(path, before, after, mode)


def plan_removal(*, force: bool) -> Removal | None:
    """Return what has to change, so that nothing is left; None if nothing is there.

    What was changed by hand is kept, unless `force`. Raises RefusedError if something else is where
    a file belongs, and BadDataError if the record of what was written is invalid.
    """
    record, machine = read_record(), look_at_machine()
    if record is None:
        return None
    changes, kept = _plan_removals(record.entries, force=force)
    present = [Change(entry.path, None, None) for entry in kept]
    disabling = _plan_disable((*changes, *present), machine)
    return Removal(
        changes=changes,
        kept=tuple(entry.path for entry in kept),
        before=disabling,
        commands=_plan_reload(disabling, machine),
        afterwards=replace(record, entries=kept, is_done=False) if kept else None,
    )


def _plan_removals(
    entries: Iterable[WrittenFile], *, force: bool
) -> tuple[tuple[Change, ...], tuple[WrittenFile, ...]]:
    """Return the changes that take `entries` away, and those entries that are kept."""
    changes, kept = [], []
    for entry in entries:
        try:
            own = read_own(entry)
        except RefusedError:  # somebody's link, for example
            if force:
                raise
            kept.append(entry)
            continue
        if own is None:
            continue
        if hash_text(own) not in entry.sums and not force:
            kept.append(entry)
            continue
        whole = read_place(entry.path) or ""
        after = schedule.cut_block(whole) if entry.is_block else None
        mode = stat.S_IMODE(entry.path.stat().st_mode)
        changes.append(Change(entry.path, whole, after, mode))
    return tuple(changes), tuple(kept)


def _plan_disable(changes: Iterable[Change], machine: ScheduleTarget) -> Commands:
    return schedule.plan_disable(tuple(str(change.path) for change in changes), machine)


def _plan_reload(disabling: Commands, machine: ScheduleTarget) -> Commands:
    """Return what systemd needs, to forget the units that were switched off."""
    return (("systemctl", "daemon-reload"),) if disabling and machine.is_booted_by_systemd else ()


def _merge(old: ScheduleRecord | None, new: ScheduleRecord) -> ScheduleRecord:
    """Return the record of both: what may be found after a crash between the two."""
    merged = {entry.path: entry for entry in (old.entries if old else ())}
    for entry in new.entries:
        before = merged.get(entry.path, entry)
        sums = tuple(dict.fromkeys((*before.sums, *entry.sums)))
        merged[entry.path] = replace(entry, sums=sums)
    return ScheduleRecord(new.kind, tuple(merged.values()), is_done=False)


def _is_enabled(commands: Commands) -> bool:
    """Return whether what `commands` would switch on is on."""
    if not commands:
        return True
    # one at a time: of several, is-enabled is content with one (systemctl(1))
    wanted = [
        (verb, word)
        for _, *words in commands
        for word in words
        for verb in ("is-enabled", *(["is-active"] if "--now" in words else []))
        if "." in word
    ]
    systemctl = find_program("systemctl") or "systemctl"
    asked = ([systemctl, verb, "--quiet", unit] for verb, unit in wanted)
    return all(run_program(argv).status == 0 for argv in asked)
