"""What a client's backup needs at the server, looked at one after the other."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from asyncamanda.core.amanda.amcheck import AMANDA_USER, explain_lines, interpret_amcheck
from asyncamanda.core.amanda.disklist import Dle, parse_disklist
from asyncamanda.core.dispatch.drills import DiskProof, find_first_dumps
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.doctor.levels import judge_levels
from asyncamanda.core.doctor.penalties import judge_penalties
from asyncamanda.core.doctor.proofs import judge_restorable
from asyncamanda.core.model import DleVerdict
from asyncamanda.core.protocol.tickets import Machine, describe_dispute
from asyncamanda.core.ssh.way import parse_way, plan_way
from asyncamanda.core.values.printable import printable
from asyncamanda.report.text import format_time, name_disks
from asyncamanda.server.background.programs import PATIENCE
from asyncamanda.server.enrol import ssh_aliases
from asyncamanda.server.enrol.disklist import AUTH
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.enrol.registry import relayed_clients
from asyncamanda.server.gate import ipc
from asyncamanda.system.programs import Answer, run_program

SETUP = "as root: asyncamanda server setup --yes"
LAST_WORDS = timedelta(minutes=1)  # of amcheck, when a call to a lost client is given up


# -- enrolled


def check_enrolled(entries: Sequence[Enrolled]) -> Check:
    """Return for what a client is enrolled, and how Amanda reaches it; the first is looked at."""
    first = entries[0]
    way = "directly" if is_direct(entries) else "through the relay"
    others = sorted({entry.amanda_config for entry in entries} - {first.amanda_config})
    also = f"; also for {', '.join(others)}, which is not checked" if others else ""
    found = f"for {first.amanda_config}; Amanda reaches it {way}{also}"
    return Check("enrolled", Health.OK, found)


def check_lost(entries: Sequence[Enrolled]) -> Check | None:
    """Return that a client is lost, which ends all other checks; None if it is not."""
    since = next((entry.lost_at for entry in entries if entry.lost_at), None)
    if since is None or not all(entry.lost_at for entry in entries):
        return None
    client = entries[0].client
    return Check(
        "lost",
        Health.BAD,
        f"{client} is lost since {format_time(since)}",
        "its key is refused, and nothing of it is backed up",
        f"if it is back: asyncamanda server found {client}; if not, an invitation for the machine "
        f"that replaces it: asyncamanda server lost {client}",
    )


def check_machine(machine: Machine) -> Check:
    """Return that two machines are this client, which the ledger says."""
    return Check(
        "machine",
        Health.BAD,
        describe_dispute(machine),
        "one is a copy of the other, and neither is backed up until it is settled which is right",
        f"asyncamanda server enroll {machine.client} (then start the right one first); on the "
        "other: asyncamanda setup SERVER --name ANOTHER-NAME --new-key",
    )


def is_direct(entries: Sequence[Enrolled]) -> bool:
    """Return whether Amanda reaches the client of `entries` by itself."""
    return all(entry.is_direct for entry in entries)


# -- sshd


def check_penalties(*, is_there: bool) -> Check | None:
    """Return what is to be said of sshd's penalties; None where it has none, or cannot tell."""
    answer = run_program(["/usr/sbin/sshd", "-G"])
    return judge_penalties(answer.stdout, is_there=is_there) if answer.status == 0 else None


# -- alias


def plan_ssh(user: str, client: str) -> list[str]:
    """Return the argv that says where Amanda's ssh would go: its own words, and -G."""
    return plan_way(["ssh", "-x", "-o", "BatchMode=yes", "-l", user, "--", client])


def check_alias(folder: Path, user: str, client: str, all_: Sequence[Enrolled]) -> Check:
    """Return whether Amanda's ssh goes to the relay, according to ssh; `folder` is ~/.ssh."""
    answer = run_program(plan_ssh(user, client), PATIENCE)
    path = ipc.relay_path(client)
    used = parse_way(answer.stdout, client).control_path
    fault = _find_alias_fault(folder, all_)
    if answer.status == 0 and used == path:
        if not fault:
            return Check("alias", Health.OK, f"ssh goes to the relay ({path})")
        why = "other words of ssh's configuration may break Amanda's calls to the client"
        return Check("alias", Health.BAD, fault, why, SETUP)
    if answer.status != 0:
        fault = f"ssh: {answer.complaints[-1]}"
        fix = f"correct that file (it has to be {user}'s, and nobody else's to write); then {SETUP}"
    elif fault:
        fix = SETUP
    else:
        fault = f"ssh goes to {used or 'the network'}, not to {path}"
        fix = f"take what names {client} or a ControlPath for it out of ssh's configuration"
    why = "Amanda would contact the client directly, not through the relay"
    return Check("alias", Health.BAD, fault, why, fix)


def _find_alias_fault(folder: Path, all_: Sequence[Enrolled]) -> str:
    """Return what is wrong with our file and its inclusion, as far as their texts tell."""
    file, config = folder / ssh_aliases.ALIASES, folder / "config"
    try:
        if not ssh_aliases.is_included(ssh_aliases.read_text(config)):
            return f"{config} does not begin with `{ssh_aliases.INCLUDE}`"
        if ssh_aliases.read_text(file) != ssh_aliases.render_aliases(relayed_clients(all_)):
            return f"{file} is missing, or not what the enrolled clients need"
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""


# -- disklist


def check_disklist(entry: Enrolled, *, is_relayed: bool) -> Check:
    """Return whether the disklist has disks of the client that Amanda would fetch by its way."""
    name, client = entry.amanda_config, entry.client
    argv = ["amadmin", name, "disklist", f"={client}"]
    answer = run_program(argv, PATIENCE)
    dles = [dle for dle in parse_disklist(answer.stdout) if dle.host == client]
    if answer.status != 0:
        troubles = explain_lines(client, answer.stderr or answer.printed)
        found = f"`{' '.join(argv)}` fails with status {answer.status}"
        return Check("disklist", Health.BAD, found, troubles=troubles)
    if not dles:
        fix = f"as root: asyncamanda server disk add {client} /home"
        why = "only what the disklist names is backed up"
        return Check("disklist", Health.BAD, f"it has no disk of {client}", why, fix)
    return judge_dles(name, dles, is_relayed=is_relayed)


def judge_dles(amanda_config: str, dles: Sequence[Dle], *, is_relayed: bool) -> Check:
    """Return whether Amanda would dump the DLEs of a client, and fetch them by its way."""
    meant = [dle for dle in dles if not dle.is_parked]
    parked = name_disks([f"{dle.disk} ({dle.parked})" for dle in dles if dle.is_parked])
    if not meant:
        why = "Amanda is configured to leave out every disk of it, so nothing is backed up"
        fix = f"in /etc/amanda/{amanda_config}: take `ignore` and strategy `skip` away from one"
        return Check("disklist", Health.BAD, f"parked: {parked}", why, fix)
    strays = [f"{dle.disk} (auth {dle.auth})" for dle in meant if dle.auth.lower() != AUTH]
    if strays and is_relayed:
        why = "Amanda contacts the client directly for these, not through the relay"
        fix = f'in /etc/amanda/{amanda_config}/amanda.conf: auth "{AUTH}" in the dumptypes of these'
        return Check("disklist", Health.BAD, name_disks(strays), why, fix, is_partial=True)
    found = name_disks([dle.disk for dle in meant])
    if is_relayed:
        found += f"; all with auth {AUTH}"
    return Check("disklist", Health.OK, f"{found}; parked: {parked}" if parked else found)


def check_levels(entry: Enrolled, verdicts: Iterable[DleVerdict]) -> Check | None:
    """Return a warning if an incremental dump of the client was as large as a full; else None."""
    return judge_levels(verdicts, _list_dles(entry))


def check_proofs(  # noqa: PLR0913, PLR0917 - what it is judged by
    entry: Enrolled,
    verdicts: Iterable[DleVerdict],
    proofs: Mapping[str, DiskProof],
    now: datetime,
    began_at: datetime | None,
    after: timedelta,
) -> Check | None:
    """Return whether the client's disks are proved restorable; None where none has a dump.

    `began_at` is when drills were first made here, and `after` so long no proof may be good.
    """
    meant = {dle.disk for dle in _list_dles(entry) if not dle.is_parked}
    first_at = find_first_dumps(each for each in verdicts if each.disk in meant)
    if began_at:
        first_at = {disk: max(at, began_at) for disk, at in first_at.items()}
    return judge_restorable(entry.client, proofs, first_at, now, after)


def _list_dles(entry: Enrolled) -> list[Dle]:
    argv = ["amadmin", entry.amanda_config, "disklist", f"={entry.client}"]
    dles = parse_disklist(run_program(argv, PATIENCE).stdout)
    return [dle for dle in dles if dle.host == entry.client]


# -- connected


def check_connected(client: str, *, is_there: bool) -> Check:
    """Return whether the client can be called now."""
    if is_there:
        return Check("connected", Health.OK, "its agent is connected")
    return Check(
        "connected",
        Health.ABSENT,
        "not now",
        "a client is connected only while its agent runs, and Amanda can reach it only then",
        f"on {client}: asyncamanda run --force; meanwhile here: asyncamanda server doctor "
        f"{client} --wait 10m",
    )


# -- amcheck


def plan_amcheck(entry: Enrolled) -> list[str]:
    """Return the argv that checks one client, by its exact name."""
    return ["amcheck", "-c", entry.amanda_config, f"={entry.client}"]


def patience(grace: timedelta) -> float:
    """Return the seconds that amcheck may take: a lost client's call is held for `grace`."""
    return max(PATIENCE, (grace + LAST_WORDS).total_seconds())


def check_answer(client: str, answer: Answer, user: str = AMANDA_USER) -> Check:
    """Return what amcheck's answer means; `user` is the Amanda user."""
    troubles = interpret_amcheck(
        client, answer.status, answer.stdout, answer.stderr or answer.fault, user
    )
    if not troubles:
        return Check("amcheck", Health.OK, f"Amanda has reached {client}, and all is well there")
    is_absence = all(trouble.is_absence for trouble in troubles)
    count = "1 problem" if len(troubles) == 1 else f"{len(troubles)} problems"
    health = Health.ABSENT if is_absence else Health.BAD
    return Check("amcheck", health, count, troubles=troubles)


def lines_of(answer: Answer) -> list[str]:
    """Return all that a command said, escaped."""
    return [printable(line) for line in (answer.stdout + answer.stderr + answer.fault).splitlines()]
