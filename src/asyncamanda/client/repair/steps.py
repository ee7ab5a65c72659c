"""The steps that fix what the doctor found, as far as asyncamanda can do that safely.

Modes and owners, the schedule, and amandad on the network: what setup makes, too. Nothing is given
to the Amanda user but what lies in Amanda's own folders or in that user's home, and is root's or
that user's already; which paths these are root looks up itself.
"""

import os
import pwd
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from asyncamanda.client.doctor.amanda import ask_places
from asyncamanda.client.doctor.case import Places
from asyncamanda.client.schedule import install
from asyncamanda.client.setup import inetd, keys
from asyncamanda.client.start.folders import state_for
from asyncamanda.client.state.memory import FILE_NAME
from asyncamanda.config.client import ClientConfig, candidate_files, load_client_config
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.errors import AsyncamandaError
from asyncamanda.system.account import ask_as, find_user
from asyncamanda.system.steps import SetupStep, give, is_like, plan_file, plan_folder

AMANDAS = (Path("/var/lib/amanda"), Path("/var/log/amanda"))  # on Debian
_USE = os.R_OK | os.W_OK


@dataclass(frozen=True, slots=True)
class Repair:
    """A step that fixes what the check of this name found."""

    check: str
    step: SetupStep


@dataclass(frozen=True, slots=True)
class Unrepaired:
    """What would fix the check of this name, and why that cannot be done here."""

    check: str
    what: str
    error: AsyncamandaError


@dataclass(frozen=True, slots=True)
class Patient:
    """This client, as root knows it: its configuration, its Amanda user, Amanda's places."""

    path: Path
    settings: ClientConfig
    account: pwd.struct_passwd
    places: Places | None

    @property
    def home(self) -> Path:
        """The Amanda user's."""
        return Path(self.account.pw_dir)


def find_patient(named: str | None) -> Patient | None:
    """Return this client; None where its configuration cannot be used, which nobody fixes here."""
    try:
        path, settings = load_client_config(candidate_files(dict(os.environ), named))
        account = find_user(settings.user)
    except AsyncamandaError:
        return None
    return Patient(path, settings, account, ask_places(account)[1])


def plan_repairs(patient: Patient, checks: Collection[Check]) -> Iterator[Repair | Unrepaired]:
    """Yield the steps that fix `checks`, and what prevents one that could be thought of."""
    planners: dict[str, Callable[[Patient], Iterator[SetupStep]]] = {
        "amandates": _plan_amandates,
        "gnutar-lists": _plan_lists,
        "logs": _plan_logs,
        "ssh": _plan_ssh,
        "password": _plan_password,
        "key": _plan_key,
        "notify": _plan_urls,
        "inetd": lambda _: iter((inetd.plan_offer_off(),)),
        "memory": _plan_memory,
    }
    for check in checks:
        if check.health not in {Health.BAD, Health.WARNING}:
            continue
        if check.name in {"schedule", "users"}:
            yield from _plan_schedule(patient, check)
        elif planner := planners.get(check.name):
            steps = (step for step in planner(patient) if not step.is_so())
            yield from (Repair(check.name, step) for step in steps)


# -- Amanda's files


def _plan_amandates(patient: Patient) -> Iterator[SetupStep]:
    if patient.places:
        path, account = patient.places.amandates, patient.account
        yield from _plan_folders(path.parent, patient)
        if _is_amandas(path) and _is_ours(path, account, stat.S_ISREG):
            yield _usable(plan_file(path, account, 0o660), path, account, _USE)


def _plan_lists(patient: Patient) -> Iterator[SetupStep]:
    if patient.places:
        yield from _plan_folders(patient.places.gnutar_lists, patient)


def _plan_logs(patient: Patient) -> Iterator[SetupStep]:
    if patient.places:
        logs = patient.places.logs
        yield from _plan_folders(logs, patient)
        for path in (logs / "amandad", logs / "client"):
            if path.is_dir():  # else Amanda makes it
                yield from _plan_folders(path, patient)


def _plan_folders(path: Path, patient: Patient) -> Iterator[SetupStep]:
    """Yield the steps after which the user can write in `path`, and pass what is above it."""
    account = patient.account
    for folder in (*reversed(path.parents), path):
        if not _is_amandas(folder) or not _is_ours(folder, account, stat.S_ISDIR):
            continue
        mode = 0o770
        with suppress(OSError):
            mode = stat.S_IMODE(folder.lstat().st_mode) | stat.S_IRWXU
        how = os.X_OK if folder != path else _USE | os.X_OK
        yield _usable(plan_folder(folder, account, mode), folder, account, how)


def _is_amandas(path: Path) -> bool:
    return ".." not in path.parts and any(path.is_relative_to(top) for top in AMANDAS)


def _is_ours(path: Path, account: pwd.struct_passwd, is_kind: Callable[[int], bool]) -> bool:
    """Return whether `path` may become the user's: it is not there, or root's or the user's."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if not is_kind(status.st_mode) or status.st_uid not in {0, account.pw_uid}:
        return False
    return not os.statvfs(path).f_flag & os.ST_RDONLY


def _usable(step: SetupStep, path: Path, account: pwd.struct_passwd, how: int) -> SetupStep:
    """Return the step as one that is needed only where the user cannot use `path` as it is."""

    def is_so() -> bool:
        with suppress(OSError):
            return bool(ask_as(account.pw_name, lambda: "yes" * os.access(path, how)))
        return False

    return replace(step, is_so=is_so)


# -- the user's own files


def _plan_ssh(patient: Patient) -> Iterator[SetupStep]:
    yield from _plan_private(patient.home / ".ssh" / "config", patient)


def _plan_key(patient: Patient) -> Iterator[SetupStep]:
    folder = patient.home / ".ssh"
    path = keys.find_key_path(patient.settings, patient.account)
    found = [path]
    if not patient.settings.key:
        found = [path for path in folder.glob("id_*") if "." not in path.name]
    for path in found:
        if path.is_relative_to(patient.home):
            yield from _plan_private(path, patient)
    if _is_ours(folder, patient.account, stat.S_ISDIR) and folder.is_dir():
        yield plan_folder(folder, patient.account, 0o700)


def _plan_password(patient: Patient) -> Iterator[SetupStep]:
    yield from _plan_secret(patient.settings.password_file, patient)


def _plan_urls(patient: Patient) -> Iterator[SetupStep]:
    yield from _plan_secret(patient.settings.notify.urls_file, patient)


def _plan_secret(named: Path | None, patient: Patient) -> Iterator[SetupStep]:
    """Yield the step for a file that client.toml names, if root alone decides what that says."""
    status = patient.path.stat()
    if named is None or status.st_uid != 0 or status.st_mode & 0o022:
        return
    is_at_home = named.parts[:1] == ("~",)
    yield from _plan_private(
        patient.home.joinpath(*named.parts[1:]) if is_at_home else named, patient
    )


def _plan_private(path: Path, patient: Patient) -> Iterator[SetupStep]:
    account = patient.account
    if path.is_file() and _is_ours(path, account, stat.S_ISREG):
        yield SetupStep(
            f"{path} is a file of {account.pw_name}'s, mode 0600",
            lambda: is_like(path, account, stat.S_IFREG | 0o600),
            lambda: give(path, account, 0o600),
        )


def _plan_memory(patient: Patient) -> Iterator[SetupStep]:
    path, account = state_for(patient.path) / FILE_NAME, patient.account
    if path.is_file() and _is_ours(path, account, stat.S_ISREG):
        step = SetupStep(
            f"{path} is a file of {account.pw_name}'s, mode 0644",
            lambda: is_like(path, account, stat.S_IFREG | 0o644),
            lambda: give(path, account, 0o644),
        )
        yield _usable(step, path, account, _USE)


# -- the schedule


def _plan_schedule(patient: Patient, check: Check) -> Iterator[Repair | Unrepaired]:
    """Yield the step that installs the schedule; what was changed by hand stays if all works."""
    found = install.look_at_schedule()
    is_changed = set(found.differs) > set(found.missing)
    if check.health is not Health.BAD and is_changed:
        return
    try:
        plan = _plan_install(patient)
    except AsyncamandaError as error:
        yield Unrepaired(check.name, "a timer of asyncamanda's starts the agent", error)
        return
    if plan.is_needed:
        run = "".join(f"; run: {' '.join(command)}" for command in plan.commands)
        files = ", ".join(str(change.path) for change in plan.changes)
        what = f"{plan.kind} starts the agent{files and f' by {files}'}{run}"

        def is_so() -> bool:
            return not _plan_install(patient).is_needed

        yield Repair(check.name, SetupStep(what, is_so, lambda: install.install(plan)))


def _plan_install(patient: Patient) -> install.Installation:
    program = install.find_own_program()
    return install.plan_install(None, program, patient.settings, patient.path)
