"""ssh's side of this client, as the Amanda user's ssh sees it."""

import os
from pathlib import Path

from asyncamanda.client.doctor.case import Case
from asyncamanda.client.start.probing import ask, look_at
from asyncamanda.core.doctor import keys
from asyncamanda.core.doctor.findings import Check
from asyncamanda.core.doctor.keys import Key, SshWay
from asyncamanda.core.doctor.rights import PathKind
from asyncamanda.core.ssh.argv import plan_master


def ask_way(case: Case) -> tuple[Check, SshWay | None]:
    """Return whether ssh accepts its configuration, and where it goes as the agent starts it."""
    argv = plan_master(case.plan.target, case.plan.options, "none")
    told = ask([argv[0], "-G", *argv[1:]])
    check = keys.judge_ssh(told.status, told.first_line)
    return check, keys.parse_way(told.stdout, case.plan.target.host) if told.status == 0 else None


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
    told = ask(["ssh-keygen", "-y", "-P", "", "-f", str(path)])
    if told.status == 0:
        return Key(seen, folder, is_open=True, said=told.stdout)
    has_agent = "SSH_AUTH_SOCK" in os.environ and ask(["ssh-add", "-l"]).status == 0
    return Key(seen, folder, is_open=False, said=told.first_line, has_agent=has_agent)


def check_host_key(case: Case, way: SshWay) -> Check:
    """Return whether the server's host key is pinned, in any file that ssh looks into."""
    lines: list[str] = []
    for path in way.known_hosts:
        told = ask(["ssh-keygen", "-F", way.known_as, "-f", str(Path(path).expanduser())])
        lines += [line for line in told.stdout.splitlines() if line and line[0] != "#"]
    return keys.judge_host_key(way, lines, case.user)
