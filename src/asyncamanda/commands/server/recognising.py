"""What `server enroll` asks, or says, where it knows the key or the name already."""

from dataclasses import dataclass, replace

from asyncamanda.commands.asking import is_agreed
from asyncamanda.commands.printing import again, tell
from asyncamanda.commands.server.options import open_ledger_to_read
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import AsyncamandaError
from asyncamanda.report.text import format_time
from asyncamanda.server.enrol.enrolled import Enrolled, plan_enroll, plan_rename
from asyncamanda.server.enrol.key_refusals import describe_key, refuse_known_key, refuse_other_key
from asyncamanda.server.enrol.recognition import KnownKey, OtherKey, Recognition
from asyncamanda.system.account import ask_as


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who is to be enrolled, and what that may change: the key, the Amanda configuration, the name.

    `was` is the name that the client has so far, None if it keeps it or is new.
    """

    entry: Enrolled
    is_replacing: bool = False
    is_moving: bool = False
    was: str | None = None

    def plan(self, text: str) -> str:
        """Return authorized_keys with it. Raises what plan_enroll() and plan_rename() raise."""
        if self.was is not None:
            text = plan_rename(text, self.was, self.entry.client)
        return plan_enroll(
            text, self.entry, is_replacing=self.is_replacing, is_moving=self.is_moving
        )


def settle(
    enrolment: Enrolment, found: Recognition, config: ServerConfig, *, is_asking: bool
) -> Enrolment:
    """Return what is to be enrolled, after asking where key or name are known from elsewhere.

    Raises RefusedError where nobody can be asked, or says no.
    """
    match found:
        case KnownKey(owner, is_free):
            if is_asking and is_free and _is_renamed(owner, enrolment.entry.client, config):
                return replace(enrolment, was=owner.client)
            raise refuse_known_key(0, owner, enrolment.entry.client, is_free=is_free)
        case OtherKey(known) if not enrolment.is_replacing:
            seen = describe_seen(config, known.client)
            if is_asking and _is_to_be_replaced(known, seen):
                return replace(enrolment, is_replacing=True)
            raise refuse_other_key(known, seen, f"{again()} --replace")
    return enrolment


def _is_renamed(owner: Enrolled, name: str, config: ServerConfig) -> bool:
    seen = describe_seen(config, owner.client)
    tell(f"This key is {owner.client}'s ({describe_key(owner)}{seen}).")
    return is_agreed(
        f"Is {name} that machine, with another name? Rename {owner.client} to {name}?", ""
    )


def _is_to_be_replaced(known: Enrolled, seen: str) -> bool:
    tell(f"{known.client} is enrolled with another key ({describe_key(known)}{seen}).")
    tell(
        f"If {known.client} has lost that one, for example by a new installation, it can be "
        "replaced; each of its disks then starts with a full dump."
    )
    return is_agreed("Replace the key?", "")


def describe_seen(config: ServerConfig, client: str) -> str:
    """Return when a client was connected last, and what it calls itself; "" if nobody knows."""

    def ask() -> str:
        try:
            return _ask_ledger(config, client)
        except AsyncamandaError:
            return ""

    try:
        return ask_as(config.user, ask)
    except OSError:
        return ""


def _ask_ledger(config: ServerConfig, client: str) -> str:
    ledger = open_ledger_to_read(config)
    if ledger is None:
        return ""
    from asyncamanda.server.ledger.machines import read_machines  # noqa: PLC0415 - loads much

    try:
        at, machine = ledger.sessions.last_seen().get(client), read_machines(ledger).get(client)
    finally:
        ledger.close()
    seen = f", last seen {format_time(at)}" if at else ", never seen"
    name = printable(machine.host_name) if machine else ""
    return f"{seen}, as {name}" if name and name != client else seen
