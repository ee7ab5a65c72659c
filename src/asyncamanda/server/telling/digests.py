"""Digests: made of a look at the fleet and of what people were told, and sent when they are due."""

import socket
from datetime import datetime, timedelta

from asyncamanda.config.notify import DigestEvery, Notices
from asyncamanda.core.fleet.digest import Digest, is_digest_due, make_digest
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.notify.mail import Letter, send_text
from asyncamanda.notify.sent import LIMIT, Sender, Sent, send_all
from asyncamanda.report.digest import render_digest, render_digest_subject
from asyncamanda.server.ledger.ledger import Ledger
from asyncamanda.server.telling.channels import JOURNAL
from asyncamanda.system.clock import local_zone

DIGEST = "digest"  # as the name of a channel
DAY, WEEK = timedelta(days=1), timedelta(days=7)


def send_due_digest(notices: Notices, ledger: Ledger, view: FleetView) -> Sent | None:
    """Mail the digest that is due; return the result, None if none is.

    One that could not be sent is due at the next look. The first is due at the next time that
    server.toml names. Raises LedgerBusy or LedgerUnavailable.
    """
    to = notices.digest_mail
    if notices.digest is DigestEvery.NEVER or to is None:
        return None
    last = ledger.told.digest_at()
    if last is None or last > view.at:  # or the clock was ahead
        ledger.told.record_digest(view.at)
        return None
    now = to_local(view.at)
    is_weekly = notices.digest is DigestEvery.WEEKLY
    if not is_digest_due(notices.digest_at, is_weekly=is_weekly, last=last, now=now):
        return None
    since = max(last, view.at - 2 * (WEEK if is_weekly else DAY))
    sent = mail_digest(to, digest_of(ledger, view, since))
    if sent.problem is None:
        ledger.told.record_digest(view.at)
    return sent


def digest_of(ledger: Ledger | None, view: FleetView, since: datetime) -> Digest:
    """Return the digest of the fleet since then. Raises as send_due_digest()."""
    told = ledger.told.of_channel(JOURNAL) if ledger else {}
    return make_digest(view, to_local(since), to_local(view.at), told, socket.gethostname())


def mail_digest(to: str, digest: Digest) -> Sent:
    """Mail a digest, and return the result."""

    def send(limit: float) -> Sent:
        text = render_digest(digest)
        letter = Letter(digest.server, digest.at, render_digest_subject(digest), text)
        sent = send_text(to, letter, limit)
        return Sent(DIGEST, sent.problem, sent.is_mistake, sent.remark)

    (sent,) = send_all([Sender(DIGEST, send)], LIMIT)
    return sent


def to_local(moment: datetime) -> datetime:
    """Return the moment in this machine's zone."""
    return moment.astimezone(local_zone())
