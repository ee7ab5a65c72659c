"""asyncamanda server digest: what changed, who needs attention, and what to do."""

import argparse
from datetime import timedelta

from asyncamanda.commands.server.options import add_common, load_as_amanda_user, open_ledger_to_read
from asyncamanda.config.notify import DigestEvery
from asyncamanda.config.reader import Wrong, read_mail
from asyncamanda.config.server import ServerConfig
from asyncamanda.core.values.interval import ALLOWED, parse_interval
from asyncamanda.errors import Exit, LaterError, RefusedError, UsageError
from asyncamanda.report.digest import digest_value, render_digest
from asyncamanda.report.json import render_json
from asyncamanda.system.clock import now as read_clock

DAY = timedelta(days=1)
MAIL_HINT = "the sendmail of this machine takes it; without --mail it is printed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--mail", metavar="TO", help="mail it to this address or user")
    parser.add_argument(
        "--since",
        metavar="SPAN",
        help="what changed within this time, such as 7d (default: a day, or a week if server.toml "
        "sends a digest weekly)",
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> Exit:
    """Print the digest, or mail it.

    Raises UsageError for an invalid span or address, LaterError if the mail could not be passed on,
    and what gather_fleet() raises.
    """
    span = _read_span(arguments.since)
    to = _read_address(arguments.mail)
    config = load_as_amanda_user(arguments)
    # these load much
    from asyncamanda.server.fleet.gathering import gather_fleet  # noqa: PLC0415 - as said above
    from asyncamanda.server.telling.digests import digest_of, mail_digest  # noqa: PLC0415 - as above

    now = read_clock()
    ledger = open_ledger_to_read(config)
    try:
        view = gather_fleet(config, ledger, now)
        digest = digest_of(ledger, view, now - (span or _usual(config)))
    finally:
        if ledger:
            ledger.close()
    if arguments.json:
        print(render_json(digest_value(digest)))
    elif to is None:
        print(render_digest(digest), end="")
    if to is None:
        return Exit.OK
    sent = mail_digest(to, digest)
    if sent.problem:
        raise (RefusedError if sent.is_mistake else LaterError)(
            "not-mailed", f"the digest was not mailed: {sent.problem}", MAIL_HINT
        )
    return Exit.OK


def _usual(config: ServerConfig) -> timedelta:
    return 7 * DAY if config.notify.digest is DigestEvery.WEEKLY else DAY


def _read_span(text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse_interval(text)
    except ValueError as error:
        raise UsageError("bad-span", f"--since: {error}", f"allowed: {ALLOWED}") from error


def _read_address(text: str | None) -> str | None:
    try:
        return None if text is None else read_mail(text)
    except Wrong as wrong:
        raise UsageError("bad-address", f"--mail: {wrong}", "such as: --mail root") from wrong
