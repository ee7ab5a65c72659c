"""Mail, by the sendmail of this machine."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
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


def send_mail(to: str, alert: Alert, limit: float) -> Sent:
    """Pass a mail to sendmail, and return the result; whether it arrives is not known."""
    program = find_sendmail()
    if program is None:
        return Sent(
            "mail", "there is no sendmail here: install an MTA, such as msmtp-mta", is_mistake=True
        )
    user = pwd.getpwuid(os.geteuid()).pw_name
    message = compose_mail(to, user, alert).as_bytes(policy=SMTP.clone(linesep="\n"))
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
    message = EmailMessage()
    message["From"] = Address(f"asyncamanda on {client}", *_parts(user))
    message["To"] = Address("", *_parts(to))
    message["Subject"] = render_subject(alert)
    message["Date"] = format_datetime(alert.at)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notice in return
    message["X-Asyncamanda-Client"] = client
    message["X-Asyncamanda-Alert"] = alert.kind.value
    message.set_content(render_body(alert))
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
