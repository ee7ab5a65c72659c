"""The sentence that who uses this machine gets once a month, if client.toml wants it."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from asyncamanda.client.notify.channels import tell_user
from asyncamanda.config.client import NotifySettings
from asyncamanda.core.agent.monthly import judge_month, month_to_tell, name_month, word_month
from asyncamanda.core.model import Memory
from asyncamanda.notify.sent import Sent
from asyncamanda.system.clock import local_zone
from asyncamanda.system.files import write_whole

FILE_NAME = "month-told"
LONGEST = 7  # characters: 2026-11


def tell_month(  # noqa: PLR0913 - by keyword only
    settings: NotifySettings,
    *,
    memory: Memory,
    use: Mapping[date, float | None],
    interval: timedelta,
    client: str,
    state_folder: Path,
    now: datetime,
) -> tuple[Sent, ...]:
    """Tell how well the last month went, if that is wanted and was not told; return the results.

    That it was told is written down first, and taken back if nobody could be reached: so it is
    told once at most, whatever happens in between. `use` has the seconds of use of each day.
    """
    if not settings.monthly:
        return ()
    zone = local_zone()
    local = now.astimezone(zone)
    path = state_folder / FILE_NAME
    before = _read(path)
    month = month_to_tell(local, before)
    if month is None:
        return ()
    alert = word_month(judge_month(use, memory, month, interval, zone), client, local)
    if alert is None:
        return ()
    try:
        write_whole(path, name_month(month), 0o600)
    except OSError:
        return ()
    sent = tell_user(settings, alert, state_folder)
    if not any(each.problem is None for each in sent):
        with suppress(OSError):
            write_whole(path, before, 0o600)
    return sent


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            return file.read(LONGEST)
    except (OSError, ValueError):
        return ""
