"""apprise's URLs: chat, push and mail services by the hundred. A URL is a secret."""

import logging
import os
import stat
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from asyncamanda.core.agent.alerts import Alert, AlertKind, render_body, render_subject
from asyncamanda.core.values.size import format_size
from asyncamanda.notify.sent import Channel, Sent

LARGEST = 65_536  # bytes
_TYPES = {
    AlertKind.FAILED: "failure",
    AlertKind.STALE: "failure",
    AlertKind.RECOVERED: "success",
    AlertKind.UNPROVED: "failure",
    AlertKind.PROVED: "success",
    AlertKind.MONTHLY: "info",
    AlertKind.TEST: "info",
}


def list_channels(
    configured: Iterable[str], urls_file: Path | None
) -> tuple[list[Channel], list[Sent]]:
    """Return a channel for each URL, those in `urls_file` too, and what is wrong with that file.

    Each has a name of its own: its scheme, and a number where it is not the first with that.
    """
    urls, problems = list(configured), []
    if urls_file:
        try:
            urls += read_urls(urls_file.expanduser())
        except (OSError, ValueError, RuntimeError) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(Sent("urls_file", f"urls_file: {words}", is_mistake=True))
    names = name_urls(urls)
    channels = [
        Channel(name, partial(_send, name, url)) for name, url in zip(names, urls, strict=True)
    ]
    return channels, problems


def read_urls(path: Path) -> list[str]:
    """Return the URLs in the file, one a line; those after a # do not count.

    Raises OSError if it cannot be read, ValueError if others can read it, or it is too large.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in {0, os.geteuid()}:
            raise ValueError(
                "others can read it: chmod 600, and owned by root or the user who runs this"
            )
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise ValueError(f"it is larger than {format_size(LARGEST)}")
    return parse_urls(raw.decode("utf-8", "surrogateescape").splitlines())


def parse_urls(lines: Iterable[str]) -> list[str]:
    """Return what is neither empty nor a comment."""
    return [url for line in lines if (url := line.strip()) and not url.startswith("#")]


def name_urls(urls: Iterable[str]) -> list[str]:
    """Return what each is called: "ntfy", "ntfy 2"."""
    seen: Counter[str] = Counter()
    names = []
    for scheme in map(_scheme_of, urls):
        seen[scheme] += 1
        names.append(f"{scheme} {seen[scheme]}" if seen[scheme] > 1 else scheme)
    return names


def _scheme_of(url: str) -> str:
    """Return the URL's scheme, which is all of it that may be shown."""
    scheme, separator, _ = url.partition("://")
    is_scheme = separator and scheme.isascii() and scheme.replace("+", "").isalnum()
    return scheme.lower() if is_scheme and len(scheme) <= 20 else "url"


def _send(name: str, url: str, alert: Alert, _limit: float) -> Sent:
    try:
        import apprise  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        needed = "needs the extra notify: pip install 'asyncamanda[notify]'"
        return Sent(name, needed, is_mistake=True)
    logging.getLogger("apprise").disabled = True  # its lines have URLs in them, and answers
    # one URL each: of several, apprise waits for the slowest, and says only whether all went
    service = apprise.Apprise()
    if not service.add(url):
        return Sent(name, "apprise does not understand this URL", is_mistake=True)
    went = service.notify(
        title=render_subject(alert),
        body=render_body(alert),
        notify_type=apprise.NotifyType(_TYPES[alert.kind]),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return Sent(name) if went else Sent(name, "the service could not be reached, or refused")
