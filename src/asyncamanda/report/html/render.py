"""The fleet's pages as files: templates filled in, and what they may do in a browser.

Everything but our own style and script is escaped by Jinja2. A page may load nothing at all: its
Content-Security-Policy allows the one style and the one script in it, by their digests.
"""

import base64
import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.resources import files

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from asyncamanda import __version__
from asyncamanda.core.dispatch.records import RunRow
from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.report.html import curves, strips
from asyncamanda.report.html.client_page import ClientPage, tell_client
from asyncamanda.report.html.files import CLIENTS, INDEX, page_name, seal
from asyncamanda.report.html.rows import ORDER, ClientRow, tell_fleet
from asyncamanda.report.html.words import show_name, show_time, show_use, without_ages

_NAMES = ("fleet.html", "client.html", "macros.html", "base.css", "fleet.css", "client.css")
_SCRIPT = "fleet.js"
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='7' fill='%23{}'/%3E%3C/svg%3E"
)
_GOOD, _BAD, _NEITHER = "2f9169", "cc3326", "98a3ab"
_ASIDE = "\0made\0"  # stands for the time in what the digest is of


@dataclass(frozen=True, slots=True)
class PageFile:
    """A page that can be written: its digest, and what makes it where that is another one."""

    name: str
    digest: str
    make: "functools.partial[bytes]"


class Renderer:
    """Makes the pages of one fleet, as it was at one moment; `host` is the server's name."""

    def __init__(self, view: FleetView, host: str = "") -> None:
        self._view = view
        self._texts = _read_texts()
        self._templates = Environment(
            loader=DictLoader(self._texts), autoescape=True, undefined=StrictUndefined
        )
        self._templates.filters["use"] = show_use
        local = view.at.astimezone()
        self._today = local.date()
        self._page = tell_fleet(view)
        self._shared = {
            "on": f" on {show_name(host)}" if host else "",
            "zone": f"{local.tzname()} (UTC{local:%z})",
            "version": __version__,
            "height": strips.HEIGHT,
            "styles": strips.LEGEND,
        }

    def make_index(self) -> PageFile:
        """Return the page of all clients."""
        page = self._page
        script = self._texts[_SCRIPT]
        style = self._texts["base.css"] + self._texts["fleet.css"]
        icon = _ICON.format(_GOOD if page.is_well else _BAD if page.alarms else _NEITHER)
        html = self._templates.get_template("fleet.html").render(
            self._shared,
            page=page,
            order={state.value: place for state, place in ORDER.items()},
            width=curves.WIDTH,
            policy=make_policy(style, script),
            icon=icon,
            style=Markup(style),  # noqa: S704 - ours
            script=Markup(script),  # noqa: S704 - ours
            made=_ASIDE,
        )
        digest = _digest_of(html)
        return PageFile(INDEX, digest, functools.partial(self._finish, html, digest))

    def make_clients(self) -> Iterator[PageFile]:
        """Yield the page of each client."""
        runs = _runs_by_client(self._view)
        told = sha256(repr((sorted(self._texts.items()), self._shared)).encode()).hexdigest()
        rows = {row.page: row for row in self._page.rows}
        for client in self._view.clients:
            name = page_name(client.facts.amanda_config, client.facts.client)
            its = runs[client.facts.amanda_config, client.facts.client]
            page = tell_client(client, rows[f"{CLIENTS}/{name}"], its, self._today)
            digest = _digest_of(f"{told}{page!r}")
            yield PageFile(name, digest, functools.partial(self._render_client, page, digest))

    def _render_client(self, page: ClientPage, digest: str) -> bytes:
        row = page.row
        style = self._texts["base.css"] + self._texts["client.css"]
        html = self._templates.get_template("client.html").render(
            self._shared,
            page=page,
            calendar=strips.lay_calendar(page.days, page.today),
            policy=make_policy(style),
            icon=_ICON.format(_icon_of(row)),
            style=Markup(style),  # noqa: S704 - ours
            made=_ASIDE,
        )
        return self._finish(html, digest)

    def _finish(self, html: str, digest: str) -> bytes:
        return seal(digest, html.replace(_ASIDE, _show_made(self._view.at), 1))


def _digest_of(text: str) -> str:
    return sha256(without_ages(text).encode("utf-8", "backslashreplace")).hexdigest()


def _icon_of(row: ClientRow) -> str:
    if row.alarm:
        return _BAD
    return _GOOD if row.state == "protected" else _NEITHER


def _show_made(at: datetime) -> str:
    """Return the time as an element, with its zone."""
    shown = show_time(at)
    assert shown
    zone = at.astimezone().tzname() or ""
    return Markup('<time datetime="{}" title="{}">{} {}</time>').format(
        shown.iso, shown.exact, shown.text, zone
    )


def make_policy(style: str, script: str = "") -> str:
    """Return the Content-Security-Policy of a page that has this style, and this script."""
    runs = f"'sha256-{_digest(script)}'" if script else "'none'"
    return (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; script-src {runs}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode()


def _read_texts() -> dict[str, str]:
    """Return templates, styles and the script by name; they may be in an archive of Python's."""
    folder = files("asyncamanda.report.html") / "templates"
    return {name: (folder / name).read_text("utf-8") for name in (*_NAMES, _SCRIPT)}


def _runs_by_client(view: FleetView) -> dict[tuple[str, str], list[RunRow]]:
    found: defaultdict[tuple[str, str], list[RunRow]] = defaultdict(list)
    for run in view.runs:
        for host in dict.fromkeys(run.hosts):
            found[run.amanda_config, host].append(run)
    return found
