"""Enrolling at the server: the command for its administrator, and waiting until it was run."""

import pwd
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from asyncamanda.client.setup.keys import is_root_at, run_via
from asyncamanda.client.setup.measuring import describe_largest
from asyncamanda.client.setup.naming import OtherNameError, is_same_name
from asyncamanda.client.setup.options import SetupOptions
from asyncamanda.client.setup.probe import NotYet, Ready, probe, wait_for
from asyncamanda.commands.printing import again, tell
from asyncamanda.core.ssh.enrolling import Enrolling, render_enroll, render_rename
from asyncamanda.core.ssh.probe_rate import ProbeReception, plan_nap
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.core.values.interval import format_interval
from asyncamanda.errors import LaterError, RefusedError
from asyncamanda.report.text import name_disks
from asyncamanda.system.clock import now as read_clock

WAIT_WATCHED, WAIT_UNWATCHED = timedelta(minutes=30), timedelta(minutes=2)
_SSH_FAILED, _NOT_FOUND = 255, 127


@dataclass(frozen=True, slots=True)
class Applicant:
    """The machine that is to be enrolled; `is_named`: the user chose the name.

    `pinned` is the server's host key, and under which name it is known. `is_key_new`: nobody can
    know the key yet. `is_gentle`: the server punishes an address for failed logins.
    `is_replacing`: what the server has as the key of this client may be replaced by this one.
    `is_encrypting`: only this machine is to read its dumps.
    """

    options: SetupOptions
    account: pwd.struct_passwd
    is_named: bool
    key: PublicKey
    pinned: tuple[PublicKey, str]
    is_watched: bool
    is_key_new: bool = False
    is_gentle: bool = True
    is_replacing: bool = False
    is_encrypting: bool = False


def get_enrolled(applicant: Applicant) -> Ready:
    """Return the gate's answer once it accepts this machine, with the disks that are wanted.

    Raises LaterError if that takes too long, RefusedError where the enrolling fails,
    ConfigurationError if the server knows this machine by another name, and what probe() raises.
    """
    is_enough, name = _Acceptance(applicant), applicant.options.name
    if not (applicant.is_key_new and applicant.is_gentle):
        found = probe(applicant.account.pw_name)
        if is_enough(found):
            assert isinstance(found, Ready)
            tell(f"unchanged: {_describe(found)}")
            return found
        if isinstance(found, Ready):
            name = found.client  # the same, but for its domain
    key = f"{applicant.key.key_type} {applicant.key.key} {applicant.key.comment}".strip()
    options = applicant.options
    enrolling = Enrolling(
        client=name,
        key=key,
        disks=options.disks,
        amanda_config=options.amanda_config,
        largest=describe_largest(options.disks),
        is_replacing=applicant.is_replacing,
        is_encrypting=applicant.is_encrypting,
    )
    if options.via:
        _run_via(applicant, "Enrolling", render_enroll(enrolling, is_root=is_root_at(options.via)))
    else:
        tell("To admit this machine, the server's administrator runs this command there, as root:")
        print(f"\n{render_enroll(enrolling, is_root=True)}\n", flush=True)
        if applicant.is_key_new and not applicant.is_replacing:
            tell(
                f"If {name} is enrolled with another key, since this machine has lost its "
                "own, that command offers to replace it."
            )
    ready = _wait(applicant, is_enough)
    tell(f"done: {_describe(ready)}")
    return ready


def get_admitted(applicant: Applicant) -> Ready:
    """Return the gate's answer to a machine that the server has just enrolled.

    Raises LaterError if that takes too long, and what probe() raises.
    """
    ready = _wait(replace(applicant, is_gentle=False), lambda found: isinstance(found, Ready))
    tell(f"done: {_describe(ready)}")
    return ready


def get_renamed(applicant: Applicant, known: str) -> None:
    """Return when the server has this machine, which it knows as `known`, by its name.

    Raises LaterError if that takes too long, and RefusedError where it fails.
    """
    options = applicant.options
    if options.via:
        command = render_rename(known, options.name, is_root=is_root_at(options.via))
        _run_via(applicant, "Renaming", command)
    else:
        tell("To rename this machine there, the server's administrator runs this, as root:")
        print(f"\n{render_rename(known, options.name, is_root=True)}\n", flush=True)
    _wait(applicant, lambda found: isinstance(found, Ready) and found.client != known)


def _describe(found: Ready | NotYet) -> str:
    assert isinstance(found, Ready)
    disks = f", with {name_disks(found.disks)}" if found.disks else ""
    return f"the server knows this machine as {found.client}, for {found.amanda_config}{disks}"


class _Acceptance:
    """Whether what the gate says is all that a machine wants, by what it has said before."""

    def __init__(self, applicant: Applicant) -> None:
        self._applicant = applicant
        self._is_stranger = applicant.is_key_new

    def __call__(self, found: Ready | NotYet) -> bool:
        """Return whether it is. Raises OtherNameError if the server had another name before."""
        if isinstance(found, NotYet):
            self._is_stranger = self._is_stranger or found.is_denied
            return False
        options, is_named = self._applicant.options, self._applicant.is_named
        # nobody chose a name here, so who has just enrolled the key could
        is_free = self._is_stranger and not is_named
        if not is_free and not is_same_name(options.name, found.client, is_named=is_named):
            raise OtherNameError(found.client, options.name)
        return set(options.disks) <= set(found.disks)


def _run_via(applicant: Applicant, doing: str, command: str) -> None:
    """Run a command at the server. Raises RefusedError with what it ended with."""
    via = applicant.options.via
    assert via
    tell(f"{doing} on the server, as {via}:")
    status = run_via(via, command, applicant.pinned, is_watched=applicant.is_watched)
    if status == 0:
        return
    words, hint = f"ended with exit status {status}", "see its output above"
    if status == _SSH_FAILED:
        words, hint = "could not connect", f"try `ssh {via}` as the user who ran this"
    elif status == _NOT_FOUND:
        words, hint = "found no asyncamanda there", "install it on the server (see README.md)"
    raise RefusedError(
        "via-failed",
        f"{doing.lower()} by ssh {words}",
        f"{hint}. Without --via this prints a command for the server's administrator",
    )


def plan_span(applicant: Applicant) -> timedelta:
    """Return how long is waited for a server, or its administrator."""
    usual = WAIT_WATCHED if applicant.is_watched else WAIT_UNWATCHED
    return applicant.options.wait or usual


def _wait(applicant: Applicant, is_enough: Callable[[Ready | NotYet], bool]) -> Ready:
    """Return the gate's answer, once it is enough. Raises LaterError if that takes too long."""
    span = plan_span(applicant)
    told, found = "", None
    if applicant.is_gentle and not applicant.options.via:
        tell(
            "the server is asked only once a minute: more often, its sshd would block this address"
        )
    for found in wait_for(
        lambda: probe(applicant.account.pw_name),
        is_enough,
        read_clock,
        read_clock() + span,
        time.sleep,
        partial(_plan_nap, applicant),
        is_gentle=applicant.is_gentle,
    ):
        words = "" if is_enough(found) else _why_not_yet(applicant, found)
        if words not in {told, ""}:
            how = "" if told else f" (for {format_interval(span)} at most; Ctrl-C stops)"
            tell(f"waiting{how}: {words}")
            told = words
    if isinstance(found, Ready) and is_enough(found):
        return found
    raise LaterError(
        "not-let-in",
        f"waited for {format_interval(span)}: {told}",
        f"nothing done so far is lost; to continue, run the same command again: {again()}",
    )


def _plan_nap(applicant: Applicant, probes: int, last: ProbeReception) -> float:
    """Return how long to wait before the next probe: none for a machine that was just enrolled."""
    if probes == 0 and (applicant.options.via or not applicant.is_gentle):
        return 0.0
    if not applicant.is_gentle:
        probes -= 1
    chance = random.random()  # noqa: S311 - no secret
    return plan_nap(probes, chance, is_gentle=applicant.is_gentle, last=last)


def _why_not_yet(applicant: Applicant, found: Ready | NotYet) -> str:
    if isinstance(found, NotYet):
        return f"{found.words}{' yet' if found.is_denied else ''}"
    missing = sorted(set(applicant.options.disks) - set(found.disks))
    if not missing:
        return f"the server knows this machine as {found.client}"
    return (
        f"{found.client} is enrolled; the disklist of {found.amanda_config} has no "
        + name_disks(missing)
    )
