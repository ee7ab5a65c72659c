"""One Amanda configuration, as every part of the dispatcher needs it."""

import asyncio
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.config.server import ServerConfig
from asyncamanda.core.amanda.disklist import Dle, join_disklist, parse_disklist, parse_dles
from asyncamanda.core.amanda.filters import Filters
from asyncamanda.core.dispatch.batch import find_wait
from asyncamanda.core.dispatch.drills import DiskProof, name_fault, waits_since
from asyncamanda.core.dispatch.protect import disown_baseless
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.protocol.bounds import LONGEST_DISK, LONGEST_REASON
from asyncamanda.core.protocol.messages import DleState, Finished, Later
from asyncamanda.core.values.printable import clip
from asyncamanda.errors import AsyncamandaError, ConfigurationError, LaterError
from asyncamanda.server.amanda import commands
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.amanda.hiding import is_there
from asyncamanda.server.amanda.own_disklist import ask_dles, write_own_list
from asyncamanda.server.background.tasks import Background, Rhythm, write_log, write_trouble
from asyncamanda.server.gate.ipc import STATE
from asyncamanda.server.ledger.access import LedgerAccess
from asyncamanda.server.ledger.reach_file import ReachFile, seen_until, tell_since
from asyncamanda.system.account import as_own_user
from asyncamanda.system.clock import format_local_stamp, local_zone
from asyncamanda.system.clock import now as read_clock

CONFIG_EVERY = timedelta(seconds=2)
AGAIN_SECONDS = 1.0


class Site:
    """An Amanda configuration's name, its settings, its DLEs, and what is remembered of it.

    `fault` is why it cannot be used now, None if it is in order.
    """

    def __init__(
        self, name: str, config: ServerConfig, access: LedgerAccess, background: Background
    ) -> None:
        self.name = name
        self.config = config
        self.access = access
        self.background = background
        self.reports = Path(STATE) / "reports"
        self._settings: Settings | None = None
        self._dles: dict[tuple[str, str], Dle] = {}
        self._dles_said: tuple[str, str] | None = None
        self._reach = ReachFile(name)
        self._rhythm = Rhythm()
        self._reading = asyncio.Lock()
        self.fault: AsyncamandaError | None = None

    @property
    def settings(self) -> Settings:
        """What the Amanda configuration says; known once open() is through."""
        assert self._settings
        return self._settings

    async def open(self) -> None:
        """Read the Amanda configuration. Raises what read_anew() raises."""
        await self.read_anew()
        try:
            self.reports.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LaterError(
                "state-not-writable",
                f"{self.reports} cannot be made: {error.strerror}",
                "is there room, and is it the Amanda user's?",
            ) from error

    async def read_anew(self) -> None:
        """Read amanda.conf and the disklist again, if that was not done a moment ago.

        Raises ConfigurationError as long as they cannot be used, and LaterError if Amanda cannot be
        asked. `fault` is that error then: what they said before must not pass for what holds.
        """
        async with self._reading:  # who comes while they are read is told what that brings
            if self._rhythm.is_due("configuration", CONFIG_EVERY, read_clock()):
                await self._find_fault()
                self._rhythm.note("configuration", read_clock())
        if self.fault:
            raise self.fault.with_traceback(None)  # it would grow each time

    async def _find_fault(self) -> None:
        fault = await self._read()
        if fault:  # somebody may just be writing it
            await asyncio.sleep(AGAIN_SECONDS)
            fault = await self._read()
        if fault and str(fault) != str(self.fault):
            write_trouble(fault)
        elif self.fault and not fault:
            self.log("the Amanda configuration is usable again")
        self.fault = fault

    async def _read(self) -> AsyncamandaError | None:
        """Read all; return what is wrong with it."""
        try:
            settings = await commands.read_settings(self.name)
            answers = await ask_dles(self.name)
            for answer in answers:
                commands.check_answer(self.name, answer)
        except AsyncamandaError as error:
            return error
        except (OSError, ValueError) as error:  # what nobody has foreseen in it
            return ConfigurationError(
                "amanda-config",
                f"cannot use the Amanda configuration {self.name}: {error}",
                as_own_user(f"amcheck -s {self.name}"),
            )
        if self._settings not in {None, settings}:
            self.log("amanda.conf was changed, and is read again")
        self._settings = settings
        listed, dles = (answer.stdout for answer in answers)
        if (listed, dles) != self._dles_said:
            self._dles_said = listed, dles
            self._dles = join_disklist(parse_dles(listed), parse_disklist(dles))
        return None

    async def write_own_list(self, run_id: int, hosts: Sequence[str]) -> Path | None:
        """Write a disklist for a run of `hosts` alone; return where, None if that cannot be.

        Then the run gets the whole one, and may spoil what another is just dumping.
        """
        path = self.list_path(run_id)
        fault = await write_own_list(self.settings, hosts, path, self._dles)
        if fault:
            self.log(f"run {run_id} has no disklist of its own: {fault}")
        return None if fault else path

    def has_dle(self, host: str, disk: str) -> bool:
        """Return whether the disklist has this DLE."""
        return (host, disk) in self._dles

    def dles(self, host: str) -> list[Dle]:
        """Return the DLEs that the disklist has of `host`, those that are parked as well."""
        return [dle for dle in self._dles.values() if dle.host == host]

    def disks(self, host: str) -> list[str]:
        """Return the disks of `host` that are to be dumped, which are not parked."""
        return [dle.disk for dle in self.dles(host) if not dle.is_parked]

    def find_hold(self) -> Later | None:
        """Return why Amanda would begin no run at all, None if it would."""
        if is_there(place := self.settings.hold_file):
            reason = f"the server's administrator has all backups wait ({place} exists)"
            return Later(self.config.come_back, reason)
        return None

    def find_delay(self, host: str) -> Later | None:
        """Return for how long, and why, Amanda would let `host` wait in a run that begins now."""
        if on_hold := self.find_hold():
            return on_hold
        meant = (dle for dle in self.dles(host) if not dle.is_parked)
        late = {dle.starttime: dle.disk for dle in meant if dle.starttime}
        wait = find_wait(late, read_clock().astimezone(local_zone()))
        if not wait:
            return None
        last = max(late)
        return Later(wait, f"the server is configured to back {late[last]} up from {last:%H:%M} on")

    def all_dles(self) -> list[Dle]:
        """Return every DLE of the disklist."""
        return list(self._dles.values())

    def filters(self) -> dict[tuple[str, str], Filters]:
        """Return what the dumps of each DLE go through, by host and disk, as far as known."""
        return {place: dle.filters for place, dle in self._dles.items() if dle.filters}

    async def dle_states(self, host: str, machine: int | None) -> tuple[DleState, ...]:
        """Return how each DLE of `host` stands: its newest dump that the server has.

        What another machine's session carried does not count for `machine`.
        """
        confirmed = await self.access.read(
            lambda ledger: ledger.verdicts.newest_confirmed(self.name, host, machine)
        )
        dles = self.dles(host)
        since = await self._tell_since(host, [dle.disk for dle in dles if not dle.is_parked])
        proofs = await self._read_proofs(host)
        return tuple(
            _state_of(dle, confirmed.get(dle.disk), since.get(dle.disk), proofs.get(dle.disk))
            for dle in dles
        )

    async def _read_proofs(self, host: str) -> dict[str, DiskProof]:
        """Return what a client gets to know of its disks' proofs: when, and what drills found."""
        proofs = await self.access.read(lambda ledger: ledger.proofs.of_disks(self.name, host))
        disks = self.disks(host)
        if not self.config.drill.scheduled:
            return {disk: replace(one, fault=one.drill_fault) for disk, one in proofs.items()}
        now, first_at, after = read_clock(), {}, self.config.drill.alarm_after
        began_at = await self.access.read(lambda ledger: ledger.proofs.drills_begun_at(self.name))
        if any(disk not in proofs or not proofs[disk].proved_at for disk in disks):
            first_at = await self.access.read(
                lambda ledger: ledger.verdicts.first_confirmed(self.name, host)
            )
        found = {}
        for disk in disks:
            proof = proofs.get(disk, DiskProof())
            since = waits_since(proof, first_at.get(disk), began_at, now)
            found[disk] = replace(proof, fault=name_fault(proof, since, now, after))
        return proofs | found

    async def _tell_since(self, host: str, disks: Collection[str]) -> dict[str, datetime]:
        """Return since when disks of `host` can be restored, where that is known."""
        found = self._reach.read()
        known = found.clients.get(host, {}) if found else {}
        if not found or all(disk in known and known[disk].since for disk in disks):
            return tell_since(found, host, disks, ())
        after = seen_until(found, host, disks)
        verdicts = await self.access.read(
            lambda ledger: ledger.verdicts.confirmed_after(self.name, host, after)
        )
        return tell_since(found, host, disks, verdicts)

    async def last_of(self, client: str, machine: int | None) -> Finished | None:
        """Return how the client's last request ended that a run served; None if none was.

        Also None if it was not that of this `machine`.
        """
        request = await self.access.read(lambda ledger: ledger.requests.find_last(client))
        if request is None or request.run_id is None or request.ended_at is None:
            return None
        if request.machine not in {None, machine}:
            return None
        number = request.run_id
        words = await self.access.read(lambda ledger: ledger.verdicts.of_run(number))
        run = await self.access.read(lambda ledger: ledger.runs.get(number))
        stamp = run.timestamp or format_local_stamp(run.begun_at)
        own = tuple(v for v in words if v.host == client and v.timestamp == stamp)
        own = await self.disown_baseless(client, own, machine)
        return Finished(run.timestamp or "", request.ended_at, own)

    async def disown_baseless(
        self, host: str, words: Collection[DleVerdict], machine: int | None
    ) -> tuple[DleVerdict, ...]:
        """Return what `host` hears about its dumps; all of them may be in the ledger, or none."""
        fulls = await self.access.read(
            lambda ledger: ledger.verdicts.disks_with_full(self.name, host, machine)
        )
        fulls |= {v.disk for v in words if v.state.is_confirmed and not v.level}
        return tuple(disown_baseless(v, has_full=v.disk in fulls) for v in words)

    def output_path(self, run_id: int) -> Path:
        """Return where what a run's program itself prints is kept."""
        return self.reports / f"{self.name}.run-{run_id}.out"

    def list_path(self, run_id: int) -> Path:
        """Return where a run's own disklist is."""
        return self.reports / f"{self.name}.run-{run_id}.disklist"

    def clear_run_files(self) -> None:
        """Remove what a dispatcher has left of its runs that was killed; no run goes on.

        What a run's program has printed is kept.
        """
        name = re.compile(rf"{re.escape(self.name)}\.run-[0-9]+\.(disklist|out)")
        with suppress(OSError):
            for path in self.reports.iterdir():
                found = name.fullmatch(path.name)
                if found and (found[1] == "disklist" or not path.stat().st_size):
                    path.unlink()

    def log(self, text: str) -> None:
        """Write a line to the log."""
        write_log(f"{self.name}: {text}")


def _state_of(
    dle: Dle, verdict: DleVerdict | None, since: datetime | None, proof: DiskProof | None
) -> DleState:
    device = dle.device if len(dle.device) <= LONGEST_DISK else ""
    state = DleState(dle.disk, None, None, None, 0, dle.is_parked, since, dle.program, device)
    if proof:
        fault = clip(proof.fault, LONGEST_REASON)
        state = replace(state, proved_at=proof.proved_at, proof_fault=fault)
    if verdict is None:
        return state
    return replace(
        state,
        state=verdict.state,
        level=verdict.level,
        confirmed_at=verdict.dumped_at,
        kilobytes=verdict.kilobytes,
    )
