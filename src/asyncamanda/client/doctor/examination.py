"""All checks of this client, in their order; each is left out where another would falsify it."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from asyncamanda.client.doctor import amanda, files, keys, server, upkeep
from asyncamanda.client.doctor.case import Case, Places
from asyncamanda.client.doctor.sealing import check_sealing
from asyncamanda.client.start.settings import plan_configured
from asyncamanda.config.client import ClientConfig, candidate_files, load_client_config
from asyncamanda.core.doctor.findings import NEEDS, Check, Health, find_cause, skip, well
from asyncamanda.core.ssh.way import SshWay
from asyncamanda.errors import AsyncamandaError, NotYoursError, RefusedError
from asyncamanda.system.account import become_user, find_user


class ClientExamination:
    """The checks made so far, and what they found that others need."""

    def __init__(self, named: str | None, now: datetime) -> None:
        """`named` is the configuration's file, None for the usual ones."""
        self._named = named
        self._now = now
        self._done: dict[str, Check] = {}
        self._causes: dict[str, str] = {}
        self._found: tuple[Path, ClientConfig] | None = None
        self._case: Case | None = None
        self._places: Places | None = None
        self._way: SshWay | None = None
        self._state_error: AsyncamandaError | None = None

    def checks(self) -> Iterator[Check]:
        """Yield each check as soon as it is made. Root's process becomes the Amanda user's.

        Raises RefusedError (NotYoursError) where this is neither root nor the Amanda user.
        """
        for name in NEEDS:
            if name in self._done:
                continue
            if cause := find_cause(self._needs(name), self._done, self._causes):
                self._causes[name] = cause
                yield self._keep(skip(name, cause, self._done))
            elif name == "server":
                for check in server.call(self._as_user):
                    yield self._keep(check)
            else:
                yield self._keep(self._make(name))

    def _keep(self, check: Check) -> Check:
        self._done[check.name] = check
        return check

    def _make(self, name: str) -> Check:
        makers: dict[str, Callable[[], Check]] = {
            "configuration": self._check_configuration,
            "encryption": self._check_sealing,
            "user": self._check_user,
            "amanda-conf": self._check_conf,
            "ssh": self._check_ssh,
        }
        if name in makers:
            return makers[name]()
        try:
            return self._make_as_user(name)
        except AsyncamandaError as error:
            return Check(name, Health.BAD, error.message, fix=error.hint, exit=error.exit)
        except OSError as error:
            return Check(name, Health.BAD, f"it cannot be checked: {error}")

    # -- before there is a case

    def _check_configuration(self) -> Check:
        try:
            candidates = candidate_files(dict(os.environ), self._named)
            self._found = load_client_config(candidates)
        except NotYoursError:
            raise
        except AsyncamandaError as error:
            hint = error.hint
            if error.reference == "no-config":
                hint = "as root: asyncamanda setup SERVER, which writes one"
            why = "it names the server that makes the backups, and how often"
            return Check("configuration", Health.BAD, error.message, why, hint)
        path, settings = self._found
        return well("configuration", f"{path}, for {settings.server}")

    def _check_sealing(self) -> Check:
        assert self._found
        return check_sealing(self._found[1].user)

    def _check_user(self) -> Check:
        assert self._found
        path, settings = self._found
        try:
            account = find_user(settings.user)
        except AsyncamandaError as error:
            why = "Amanda's programs run as this user, and so does the agent"
            return Check("user", Health.BAD, error.message, why, error.hint)
        if os.geteuid() not in {0, account.pw_uid}:
            raise RefusedError(
                "not-the-amanda-user",
                f"doctor checks what belongs to {settings.user}, and this is another user",
                f"run it as root or as {settings.user}",
            )
        self._become(path, settings)
        return amanda.check_user(settings.user)

    def _become(self, path: Path, settings: ClientConfig) -> None:
        """Become the Amanda user, with a plan; the error that its folder caused is kept."""
        try:
            plan = plan_configured(str(path), to_write=True)
        except AsyncamandaError as error:
            self._state_error = error
            if os.geteuid() == 0:
                become_user(settings.user)
            plan = plan_configured(str(path))
        self._case = Case(plan, settings.user)

    # -- as the Amanda user

    @property
    def _as_user(self) -> Case:
        assert self._case  # what comes after `user` needs it
        return self._case

    def _needs(self, name: str) -> tuple[str, ...]:
        """Return what has to be well before `name`; by command amandates is the witness."""
        if name == "backup" and self._case and self._case.is_by_command:
            return (*NEEDS[name], "amandates")
        return NEEDS[name]

    def _check_conf(self) -> Check:
        check, self._places = amanda.ask_places()
        return check

    def _check_ssh(self) -> Check:
        check, self._way = keys.ask_way(self._as_user)
        return check

    def _check_state(self) -> Check:
        if error := self._state_error:
            return Check("state", Health.BAD, error.message, fix=error.hint)
        return files.check_state(self._as_user)

    def _make_as_user(self, name: str) -> Check:
        case, now = self._as_user, self._now
        plan = case.plan
        notify = plan.notify.urls_file and plan.notify.urls_file.expanduser()
        makers: dict[str, Callable[[], Check]] = {
            "state": self._check_state,
            "amanda-client": lambda: amanda.check_installed(case),
            "amandad": lambda: amanda.check_started(case),
            "password": lambda: files.check_secret(
                "password", "password_file", plan.password_file, case.user
            ),
            "notify": lambda: files.check_secret("notify", "urls_file", notify, case.user),
            "space": lambda: files.check_space(case, self._places),
            "schedule": upkeep.check_schedule,
            "users": lambda: upkeep.check_users(case),
            "inetd": lambda: upkeep.check_inetd(case),
            "memory": lambda: upkeep.check_memory(case, now),
            "backup": lambda: upkeep.check_backup(case, now),
            "proof": lambda: upkeep.check_proof(case, now),
        }
        return makers[name]() if name in makers else self._make_further(name)

    def _make_further(self, name: str) -> Check:
        """Make a check that uses what Amanda, or ssh, says about itself."""
        case, places, way = self._as_user, self._places, self._way
        if way and name in {"key", "host-key"}:
            return keys.check_key(case, way) if name == "key" else keys.check_host_key(case, way)
        assert places
        makers: dict[str, Callable[[], Check]] = {
            "programs": lambda: amanda.check_programs(places, case.user),
            "tar": lambda: amanda.check_tar(places),
            "amandates": lambda: files.check_amandates(case, places, self._now),
            "gnutar-lists": lambda: files.check_lists(case, places),
            "logs": lambda: files.check_logs(case, places),
        }
        return makers[name]()
