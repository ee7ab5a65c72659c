"""Mail, by the sendmail of this machine."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from asyncamanda.core.agent.alerts import Alert, one_line, render_body, render_subject
from asyncamanda.core.values.printable import clip, printable
from asyncamanda.notify.sent import Sent
from asyncamanda.system.endings import KILLED_WITHIN, is_ended

USUAL_PLACE = Path("/usr/sbin/sendmail")  # which is in no user's PATH, nor in cron's
LONGEST_COMPLAINT = 200


@dataclass(frozen=True, slots=True)
class Letter:
    """What is mailed at the time `at`: a line and a text. `sender` is a machine's name."""

    sender: str
    at: datetime
    subject: str
    text: str


def send_mail(to: str, alert: Alert, limit: float) -> Sent:
    """Mail an alert, as pass_mail() does."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    return pass_mail(to, compose_mail(to, user, alert), limit)


def send_text(to: str, letter: Letter, limit: float) -> Sent:
    """Mail lines that are ready to be read, as pass_mail() does."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    return pass_mail(to, compose_text(to, user, letter), limit)


def pass_mail(to: str, mail: EmailMessage, limit: float) -> Sent:
    """Pass a mail to sendmail, and return the result; whether it arrives is not known."""
    program = find_sendmail()
    if program is None:
        return Sent(
            "mail", "there is no sendmail here: install an MTA, such as msmtp-mta", is_mistake=True
        )
    message = mail.as_bytes(policy=SMTP.clone(linesep="\n"))
    with tempfile.TemporaryFile() as text, tempfile.TemporaryFile() as said:
        text.write(message)
        text.seek(0)
        # files instead of pipes: whatever sendmail leaves running does not delay this
        child = subprocess.Popen(
            [program, "-i", to], stdin=text, stdout=said, stderr=said, start_new_session=True
        )
        if not is_ended(child, limit):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            is_ended(child, KILLED_WITHIN)
            return Sent("mail", f"sendmail did not end within {limit:g} seconds")
        if child.returncode == 0:
            return Sent("mail")
        said.seek(0)
        complaint = _complaint(said.read(4096))
        return Sent("mail", f"sendmail ended with {child.returncode}{complaint}")


def compose_mail(to: str, user: str, alert: Alert) -> EmailMessage:
    """Return the mail. `user` and `to` without a domain get this machine's from its MTA."""
    client = one_line(alert.client)
    letter = Letter(client, alert.at, render_subject(alert), render_body(alert))
    message = compose_text(to, user, letter)
    message["X-Asyncamanda-Client"] = client
    message["X-Asyncamanda-Alert"] = alert.kind.value
    return message


def compose_text(to: str, user: str, letter: Letter) -> EmailMessage:
    """Return the mail of lines that are ready to be read; `to` and `user` as above."""
    message = EmailMessage()
    message["From"] = Address(f"asyncamanda on {one_line(letter.sender)}", *_parts(user))
    message["To"] = Address("", *_parts(to))
    message["Subject"] = one_line(letter.subject)
    message["Date"] = format_datetime(letter.at)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notice in return
    message.set_content(letter.text)
    return message


def find_sendmail() -> str | None:
    """Return the path of sendmail, or None."""
    if found := shutil.which("sendmail"):
        return found
    return str(USUAL_PLACE) if os.access(USUAL_PLACE, os.X_OK) else None


def _parts(address: str) -> tuple[str, str]:
    user, _, domain = address.partition("@")
    return user, domain


def _complaint(said: bytes) -> str:
    lines = said.decode("utf-8", "backslashreplace").split("\n")
    line = next((line.strip() for line in lines if line.strip()), "")
    return f": {clip(printable(line), LONGEST_COMPLAINT)}" if line else ""
