"""What `server doctor` says of clients that are lost, and of what is kept for them."""

from collections.abc import Sequence

from asyncamanda.core.amanda.curinfo import sanitise_name
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.values.size import format_size
from asyncamanda.errors import AsyncamandaError
from asyncamanda.report.text import format_time, name_disks
from asyncamanda.server.amanda.commands import parse_settings, plan_config
from asyncamanda.server.enrol.disklist_file import ask_amanda
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.server.restore.aside import list_hosts
from asyncamanda.server.restore.setting_aside import find_kept


def check_lost(amanda_config: str, user: str, enrolled: Sequence[Enrolled]) -> Check | None:
    """Return what is to be said of a configuration's lost clients; None where there is nothing.

    `enrolled` is who is enrolled for it; Amanda is asked as `user`.
    """
    try:
        settings = parse_settings(amanda_config, ask_amanda(user, *plan_config(amanda_config)))
    except AsyncamandaError:  # which another check says
        return None
    lost = {entry.client: entry.lost_at for entry in enrolled if entry.lost_at}
    kept = {client: find_kept(settings, client) for client in lost}
    bare = [client for client in lost if not kept[client].is_any]
    known = {sanitise_name(client) for client in lost}
    strays = [host for host in list_hosts(settings) if host not in known]
    if bare:
        why = "its volumes will be used again, and then nothing of it can be restored"
        fix = (
            f"as root: asyncamanda server lost {bare[0]}; if it never had a backup: asyncamanda "
            f"server retire {bare[0]}"
        )
        found = f"{amanda_config}: nothing is kept of {name_disks(bare)}, which is lost"
        return Check("lost", Health.WARNING, found, why, fix)
    if strays:
        why = "it takes room as soon as its volumes are used again"
        fix = f"when its replacement has all it needs: asyncamanda server found {strays[0]}"
        found = f"{amanda_config}: set aside for who is not lost any more: {name_disks(strays)}"
        return Check("lost", Health.WARNING, found, why, fix)
    if not lost:
        return None
    said = [
        f"{client} since {format_time(since)} ({format_size(kept[client].size)} set aside)"
        for client, since in lost.items()
    ]
    return Check("lost", Health.OK, f"{amanda_config}: lost: {name_disks(said)}")
