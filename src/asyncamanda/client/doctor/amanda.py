"""Amanda's programs on this client, as its user finds them."""

import grp
import os
import pwd
from pathlib import Path

from asyncamanda.client.doctor.case import Case, Places
from asyncamanda.client.gate.streams import ENVIRON
from asyncamanda.client.start.probing import look_at, read_lines
from asyncamanda.core.amanda.client_conf import ARGV, parse_client_conf
from asyncamanda.core.doctor import amanda, tar
from asyncamanda.core.doctor.findings import Check, Health, too_slow
from asyncamanda.system.programs import run_program

START_SECONDS = 30.0  # for what takes less than one, on a machine that may be busy
SECURITY = Path("/etc/amanda-security.conf")
# what a client starts as root: for GNUTAR, DUMP, estimates by calcsize, ending any, and amgtar
_SETUID = ("runtar", "rundump", "calcsize", "killpgrp", "application/amgtar")
# what makes estimates and dumps, and ends at once with nothing to read and no argument (seen)
_TRIED = ("sendsize", "sendbackup", "runtar")


def check_user(user: str) -> Check:
    """Return whether the user that this process is has its groups."""
    groups = {entry.gr_gid: entry.gr_name for entry in grp.getgrall()}
    own = [groups.get(number, str(number)) for number in {os.getegid(), *os.getgroups()}]
    return amanda.judge_user(user, sorted(own), groups.values())


def check_installed(case: Case) -> Check:
    """Return whether there is an amandad."""
    is_configured = case.plan.amandad is not None
    return amanda.judge_installed([*map(look_at, case.amandads)], is_configured=is_configured)


def check_started(case: Case) -> Check:
    """Return whether amandad starts, as it does for Amanda, with nothing to read."""
    path = next(path for path in case.amandads if os.access(path, os.F_OK))
    answer = run_program([str(path), "-auth=ssh", "amdump"], START_SECONDS, environ=ENVIRON)
    if answer.is_late:
        return too_slow("amandad", answer.fault)
    said = answer.first_line if answer.status is not None else ""
    trial = amanda.Trial(answer.status, said, answer.fault)
    return amanda.judge_trial(str(path), case.user, trial)


def ask_places(account: pwd.struct_passwd | None = None) -> tuple[Check, Places | None]:
    """Return whether Amanda understands its configuration, and what it says of its places.

    `account` is who asks, if that is not this process's user.
    """
    answer = run_program(ARGV, START_SECONDS, account=account)
    if answer.is_late:
        return too_slow("amanda-conf", "Amanda's own modules were not loaded in time"), None
    said = parse_client_conf(answer.stdout) if answer.status == 0 else {}
    if not said:
        fault = answer.first_line or "it does not say where its files are"
        is_there = answer.status is not None and "Can't locate Amanda" not in answer.stderr
        return amanda.judge_conf(fault, "", is_there=is_there), None
    places = Places(*map(Path, said.values()))
    return amanda.judge_conf("", said["amandates"], is_there=True), places


def check_programs(places: Places, user: str) -> Check:
    """Return whether the setuid programs are, and those that make dumps run."""
    check = amanda.judge_programs([look_at(places.programs / name) for name in _SETUID], user)
    if check.health is not Health.OK:
        return check
    for path in (places.programs / name for name in _TRIED):
        answer = run_program([str(path)], START_SECONDS)
        if answer.is_late:
            return too_slow("programs", answer.fault)
        said = answer.first_line if answer.status is not None else ""
        if fault := amanda.judge_start(str(path), amanda.Trial(answer.status, said, answer.fault)):
            return fault
    return check


def check_tar(places: Places) -> Check:
    """Return whether GNU tar is there, and Amanda may start it as root."""
    path = places.tar
    answer = run_program([str(path), "--version"], START_SECONDS)
    if answer.is_late:
        return too_slow("tar", answer.fault)
    said = answer.first_line
    return tar.judge_tar(tar.Tar(look_at(path), os.path.realpath(path), said, _read_security()))


def _read_security() -> tar.Security:
    """Return what this user sees of amanda-security.conf; Amanda does not check `/` itself."""
    *folders, _ = Path(os.path.realpath(SECURITY)).parents
    text = "".join(read_lines(SECURITY))
    return tar.Security(look_at(SECURITY), tuple(map(look_at, folders)), text)
