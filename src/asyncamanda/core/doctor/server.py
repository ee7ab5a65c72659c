"""How the doctor judges the server: is it reached, does it accept this client, what does it say."""

from collections.abc import Sequence
from datetime import timedelta

from asyncamanda.core.agent.by_gate import SKEW_BORNE
from asyncamanda.core.conditions.rate import NO_EFFECT
from asyncamanda.core.doctor.findings import Check, Health, well
from asyncamanda.core.protocol.messages import Welcome
from asyncamanda.core.values.interval import format_age
from asyncamanda.errors import AsyncamandaError, LaterError

SKEW_BAD = timedelta(minutes=5)
NAMED = 5


def judge_error(name: str, error: AsyncamandaError, why: str) -> Check:
    """Return the check for `error`: away for what passes, else bad."""
    health = Health.ABSENT if isinstance(error, LaterError) else Health.BAD
    return Check(name, health, error.message, why, error.hint, exit=error.exit)


def judge_welcome(welcome: Welcome, *, has_rate: bool) -> Check:
    """Return under which name the gate knows this client, and its protocol.

    `has_rate`: client.toml limits what is sent, which needs that to come through the gate.
    """
    who = f"as {welcome.client}, for {welcome.amanda_config}"
    if has_rate and welcome.is_direct:
        why = "a backup takes all that the line can carry"
        fix = (
            "take `rate` out of client.toml; or, on the server, enroll this client again, with its "
            "--key and without --direct"
        )
        return Check("gate", Health.WARNING, f"{who}; {NO_EFFECT}", why, fix)
    return well("gate", f"{who}; protocol {welcome.protocol}, {welcome.software}")


def judge_disks(welcome: Welcome, wanted: Sequence[str]) -> Check:
    """Return whether the server's disklist has this client, and all the disks it wants."""
    known = [dle.disk for dle in welcome.dles]
    config, client = welcome.amanda_config, welcome.client
    why = "only what the disklist names is backed up"
    if not known:
        disk = wanted[0] if wanted else "/home"
        fix = f"on the server, in the disklist of {config}: {client} {disk} DUMPTYPE"
        return Check("disks", Health.BAD, f"the server has no disk of {client}", why, fix)
    lacking = [disk for disk in wanted if disk not in known]
    if lacking:
        found = f"`disks` in client.toml names {_list(lacking)}; the server has {_list(known)}"
        fix = f"correct `disks`; or on the server, in the disklist of {config}: "
        fix += f"{client} {lacking[0]} DUMPTYPE"
        return Check("disks", Health.BAD, found, why, fix)
    return _judge_parked(welcome, known, wanted)


def _judge_parked(welcome: Welcome, known: Sequence[str], wanted: Sequence[str]) -> Check:
    """Return whether the server is configured to leave out a disk that matters, or every one."""
    parked = [dle.disk for dle in welcome.dles if dle.is_parked]
    meant = [disk for disk in wanted or known if disk not in parked]
    left_out = f"left out by the server's configuration: {_list(parked)}"
    fix = f"on the server, in {welcome.amanda_config}: take `ignore` and strategy `skip` away"
    if not meant:
        return Check("disks", Health.BAD, left_out, "nothing here is backed up", fix)
    if any(disk in parked for disk in wanted):
        why = "`disks` in client.toml names what is not backed up"
        return Check("disks", Health.WARNING, left_out, why, fix)
    found = _list([disk for disk in known if disk not in parked])
    return well("disks", f"{found}; {left_out}" if parked else found)


def _list(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def judge_clock(ahead: timedelta) -> Check:
    """Return whether the server's clock, `ahead` by that, and this machine's agree."""
    if abs(ahead) <= SKEW_BORNE:
        return well("clock", "agrees with the server's to the minute")
    way = "ahead of" if ahead > timedelta(0) else "behind"
    found = f"the server's clock is {format_age(abs(ahead))} {way} this machine's"
    why = "GNU tar chooses by these times what has changed, and what is due is judged by them"
    fix = "whichever is wrong, as root: timedatectl set-ntp true"
    health = Health.BAD if abs(ahead) > SKEW_BAD else Health.WARNING
    return Check("clock", health, found, why, fix)
