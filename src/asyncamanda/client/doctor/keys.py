"""ssh's side of this client, as the Amanda user's ssh sees it."""

import os
from pathlib import Path

from asyncamanda.client.doctor.case import Case
from asyncamanda.client.start.probing import ask_ssh, look_at
from asyncamanda.core.doctor import keys
from asyncamanda.core.doctor.findings import Check, too_slow
from asyncamanda.core.doctor.keys import Key
from asyncamanda.core.doctor.rights import PathKind
from asyncamanda.core.ssh.way import SshWay
from asyncamanda.system.programs import plain_environ, run_program


def ask_way(case: Case) -> tuple[Check, SshWay | None]:
    """Return whether ssh accepts its configuration, and where it goes as the agent starts it."""
    answer, way = ask_ssh(case.plan.target, case.plan.options)
    if answer.is_late:
        return too_slow("ssh", answer.fault), None
    return keys.judge_ssh(answer.status, answer.first_line), way


def check_key(case: Case, way: SshWay) -> Check:
    """Return whether a key is there that ssh can use."""
    configured = case.plan.options.key
    paths = [configured] if configured else [*way.keys]
    found = [_look_at_key(Path(path).expanduser()) for path in paths]
    has_password = case.plan.password_file is not None
    is_configured = configured is not None
    return keys.judge_key(found, case.user, is_configured=is_configured, has_password=has_password)


def _look_at_key(path: Path) -> Key:
    seen, folder = look_at(path), look_at(path.parent)
    if seen.kind is not PathKind.FILE or not seen.may_read:
        return Key(seen, folder, is_open=False, said="")
    opened = run_program(["ssh-keygen", "-y", "-P", "", "-f", str(path)])
    if opened.status == 0:
        return Key(seen, folder, is_open=True, said=opened.stdout)
    return Key(seen, folder, is_open=False, said=opened.first_line, has_agent=_has_agent())


def _has_agent() -> bool:
    """Return whether there is an agent of ssh's, with keys."""
    if "SSH_AUTH_SOCK" not in os.environ:
        return False
    return run_program(["ssh-add", "-l"], environ=plain_environ("SSH_AUTH_SOCK")).status == 0


def check_host_key(case: Case, way: SshWay) -> Check:
    """Return whether the server's host key is pinned, in any file that ssh looks into."""
    lines: list[str] = []
    for path in way.known_hosts:
        argv = ["ssh-keygen", "-F", way.known_as, "-f", str(Path(path).expanduser())]
        found = run_program(argv).stdout.splitlines()
        lines += [line for line in found if line and line[0] != "#"]
    return keys.judge_host_key(way, lines, case.user)
