"""Pings to a watchdog of the healthchecks kind, which raises an alarm when they do not come.

healthchecks.io/docs/http_api: URL/start, URL, URL/fail, each a POST with a short text. The URL is
all that it takes to ping, so it is a secret.
"""

import ssl
from base64 import b64encode
from http.client import HTTPException, InvalidURL
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import Request, urlopen

from asyncamanda import __version__
from asyncamanda.core.values.printable import printable_lines
from asyncamanda.notify.sent import PingKind, Sent

LONGEST_TEXT = 10_000  # bytes: what healthchecks keeps of it


def send_ping(url: str, kind: PingKind, text: str, limit: float) -> Sent:
    """Send `kind` to the watchdog, and return the result."""
    try:
        parts = urlsplit(ping_url(url, kind))
        with urlopen(_request(parts, ping_body(text)), timeout=limit):  # noqa: S310 - http(s), by the reader
            return Sent("ping")
    except HTTPError as error:
        error.close()
        is_mistake = error.code in {400, 401, 403, 404, 405, 410}
        return Sent("ping", f"the server answered with {error.code}", is_mistake=is_mistake)
    except (InvalidURL, ValueError):
        return Sent("ping", "this is not a web address", is_mistake=True)
    except (OSError, HTTPException) as error:
        return Sent("ping", _words(error))


def ping_url(url: str, kind: PingKind) -> str:
    """Return the URL to call; a query stays behind the path."""
    parts = urlsplit(url)
    end = f"/{kind.value}" if kind.value else ""
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~") + end
    return parts._replace(path=path, fragment="").geturl()


def ping_body(text: str) -> bytes:
    """Return what goes with a ping; its lines stay."""
    return printable_lines(text).encode()[:LONGEST_TEXT]


def _request(parts: SplitResult, body: bytes) -> Request:
    """Return the HTTP request; a name and password in the URL go where urllib does not put them."""
    login, _, place = parts.netloc.rpartition("@")
    headers = {"User-Agent": f"asyncamanda/{__version__}", "Content-Type": "text/plain"}
    if login:
        headers["Authorization"] = f"Basic {b64encode(unquote(login).encode()).decode()}"
    return Request(parts._replace(netloc=place).geturl(), body, headers)  # noqa: S310 - as above


def _words(error: OSError | HTTPException) -> str:
    """Return what went wrong, without the URL, which an exception may cite."""
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate: {reason.verify_message}"
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return f"cannot be reached: {reason.strerror}"
    return f"the request was interrupted: {type(reason).__name__}"
