"""asyncamanda notify: send a test notification, or show pending desktop notifications."""

import argparse
import os
import socket
from collections.abc import Sequence

from asyncamanda.client.notify.channels import JOURNAL, PingKind, Sent, ping, tell
from asyncamanda.client.notify.logins import show_left
from asyncamanda.client.start.settings import find_handoff, plan_configured
from asyncamanda.commands.options import add_common
from asyncamanda.core.agent.alerts import AlertKind, word_alert
from asyncamanda.core.values.printable import printable
from asyncamanda.errors import ConfigurationError, Exit, RefusedError
from asyncamanda.report.json import render_json
from asyncamanda.report.narrator import is_watched
from asyncamanda.report.table import print_table
from asyncamanda.system.clock import now as read_clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--test",
        action="store_true",
        help="send a test notification through every configured channel",
    )
    what.add_argument(
        "--desktop",
        action="store_true",
        help="as root: show pending notifications to logged-in users",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print the result of each channel."""
    if arguments.desktop:
        sent = _show_on_desktops(arguments.config)
        if arguments.json or is_watched():  # else cron would send a mail each time
            _print_sent(sent, as_json=arguments.json)
        return Exit.OK  # a user who does not see it now sees it the next time
    sent = _try_all(arguments.config)
    _print_sent(sent, as_json=arguments.json)
    return judge_sent(sent)


def judge_sent(sent: Sequence[Sent]) -> Exit:
    """Return the exit code: what has to be fixed takes precedence over what may succeed later."""
    if any(one.is_mistake for one in sent):
        return Exit.CONFIGURATION
    return Exit.LATER if any(one.problem for one in sent) else Exit.OK


def _try_all(config: str | None) -> tuple[Sent, ...]:
    plan = plan_configured(config, to_write=True)  # what is for a desktop is left there
    client, now = socket.gethostname(), read_clock()
    alert = word_alert(AlertKind.TEST, client, now, detail="Nothing is wrong.")
    pinged = ping(plan.notify, PingKind.SUCCESS, alert.summary)
    sent = tell(plan.notify, alert, plan.state) + ((pinged,) if pinged else ())
    if all(one.channel == JOURNAL for one in sent):
        raise ConfigurationError(
            "tells-nobody",
            "no notification channel is configured",
            "docs/guide.md, Notifications: set mail, urls, ping or desktop in [notify]",
        )
    return sent


def _show_on_desktops(config: str | None) -> tuple[Sent, ...]:
    if os.geteuid() != 0:
        raise RefusedError(
            "not-root",
            "only root can reach other users' desktops",
            "run it as root; `notify --test` notifies you on your own desktop",
        )
    folder, owner = find_handoff(config)
    return show_left(folder, owner, read_clock())


def _print_sent(sent: Sequence[Sent], *, as_json: bool) -> None:
    if as_json:
        values = [
            {"channel": one.channel, "problem": one.problem, "remark": one.remark or None}
            for one in sent
        ]
        print(render_json(values))
    elif sent:
        rows = [
            (one.channel, printable(one.problem or "ok"), printable(one.remark)) for one in sent
        ]
        print_table(("by", "result", ""), rows)
