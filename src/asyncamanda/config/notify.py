"""What the `[notify]` tables of both configuration files have in common, and the server's."""

import re
from dataclasses import dataclass
from datetime import time
from enum import Enum
from pathlib import Path

from asyncamanda.config.reader import (
    Keys,
    Reader,
    Wrong,
    one_of,
    read_mail,
    read_path,
    read_time_of_day,
    read_url,
    texts_like,
)

CLIENT = "{client}"
_PLACEHOLDER = re.compile(r"\{[A-Za-z_]+\}")
_UNSAFE = re.compile(rb"[^A-Za-z0-9_.~-]")  # all but RFC 3986's unreserved characters


class DigestEvery(Enum):
    """How often a digest is sent."""

    DAILY = "daily"
    WEEKLY = "weekly"  # on Mondays
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Notices:
    """The `[notify]` table of server.toml: who hears about the fleet.

    `mail`, `urls` and `urls_file` are as in client.toml. `ping` is the server's own watchdog. The
    digest goes by mail to `digest_to`, None for `mail`, at the local time `digest_at`.
    """

    mail: str | None = None
    urls: tuple[str, ...] = ()
    urls_file: Path | None = None
    ping: str | None = None
    digest: DigestEvery = DigestEvery.NEVER
    digest_at: time = time(7)
    digest_to: str | None = None

    @property
    def digest_mail(self) -> str | None:
        """To whom the digest goes, None for nobody."""
        return self.digest_to or self.mail

    @property
    def is_wanted(self) -> bool:
        """Whether anybody is to be told anything, and the fleet has to be looked at for that."""
        channels = self.mail or self.urls or self.urls_file or self.ping
        return bool(channels) or self.digest is not DigestEvery.NEVER


def read_ping(value: object) -> str:
    """Return a watchdog's web address, without a placeholder."""
    url = read_url(value)
    if _PLACEHOLDER.search(url):
        raise Wrong(object(), 'a web address without {...}, "https://..."')
    return url


def read_ping_of_client(value: object) -> str:
    """Return a watchdog's web address, in which {client} may stand for this client's name."""
    url = read_url(value)
    strange = [found for found in _PLACEHOLDER.findall(url) if found != CLIENT]
    if strange:
        # of the address no more is shown: it may be a secret
        raise Wrong(object(), f"{CLIENT} is the only placeholder, and not {strange[0]}")
    if CLIENT in url.split("/", 3)[2]:
        raise Wrong(object(), f"{CLIENT} behind the host, as in https://hc.example/ping/{CLIENT}")
    return url


def name_in_ping(url: str, client: str) -> str:
    """Return the address with the client's name in it, where it has a place for that."""
    raw = client.encode("utf-8", "surrogateescape")
    return url.replace(CLIENT, _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], raw).decode())


def _or_nobody(read: Reader) -> Reader:
    """Return a reader that returns None for an empty text."""
    return lambda value: None if value == "" else read(value)


RECIPIENT_KEYS: Keys = {
    "mail": read_mail,
    "urls": texts_like("apprise's URLs in quotes", '["ntfy://topic"]'),
    "urls_file": read_path,
}

SERVER_NOTIFY_KEYS: Keys = {
    "mail": _or_nobody(read_mail),
    "urls": RECIPIENT_KEYS["urls"],
    "urls_file": _or_nobody(read_path),
    "ping": _or_nobody(read_ping),
    "digest": one_of(DigestEvery),
    "digest_at": read_time_of_day,
    "digest_to": _or_nobody(read_mail),
}
