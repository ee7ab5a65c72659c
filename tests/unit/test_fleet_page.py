"""The fleet's pages as HTML: what they say, in which order, and that nothing in them is foreign."""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from tests.fleets import DAY, HOUR, NOON, make_fleet

from asyncamanda.core.dispatch.records import RunKind, RunRow
from asyncamanda.core.fleet.facts import ConfigFacts
from asyncamanda.core.fleet.standing import ClientState, FleetView
from asyncamanda.report.html.render import Renderer
from asyncamanda.report.html.rows import MOST_ALARMS, tell_fleet, tell_run

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "'onmouseover=alert(3) x='",
    "</style></title><svg onload=alert(4)>",
    "{{ 7*7 }}{% raw %}",
    "a\u202etxt.exe\udcff\x00\x1b[31m",
    "w" * 5000,
)


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text in those named `raw`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, Mapping[str, str | None]]] = []
        self.raw: dict[str, str] = {}
        self.text = ""
        self._open = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.found.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        """Note that it is not open any more."""
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        """Keep it."""
        if self._open in {"style", "script"}:
            self.raw[self._open] = self.raw.get(self._open, "") + data
        else:
            self.text += data


def index_of(view: FleetView) -> str:
    """Return the page of all clients."""
    return Renderer(view, "backup1").make_index().make().decode()


def pages_of(view: FleetView) -> dict[str, str]:
    """Return all pages by the names of their files."""
    renderer = Renderer(view, "backup1")
    return {
        page.name: page.make().decode()
        for page in (renderer.make_index(), *renderer.make_clients())
    }


def hostile_fleet() -> FleetView:
    """Return a fleet in which everything that others say is hostile."""
    fleet = make_fleet(len(HOSTILE), names=HOSTILE)
    nasty = HOSTILE[1]
    clients = tuple(
        replace(
            each,
            facts=replace(
                each.facts,
                amanda_config=nasty,
                place=nasty,
                disks=tuple(replace(disk, disk=nasty) for disk in each.facts.disks),
                sessions=tuple(replace(session, how=nasty) for session in each.facts.sessions),
                report=each.facts.report
                and replace(
                    each.facts.report, software=nasty, deferred_at=NOON, deferred_reason=nasty
                ),
            ),
            standing=replace(
                each.standing, sentence=nasty, alarm=HOSTILE[0], evidence=(nasty, HOSTILE[0])
            ),
        )
        for each in fleet.clients
    )
    run = replace(fleet.runs[0], amanda_config=nasty, hosts=HOSTILE, remark=nasty)
    config = ConfigFacts(nasty, nasty, HOSTILE, (run,))
    return replace(
        fleet,
        clients=clients,
        configs=(config,),
        runs=(run,),
        runs_total={nasty: 3},
        faults=HOSTILE,
    )


def test_nothing_that_others_say_becomes_an_element_or_an_attribute() -> None:
    """All pages of a fleet whose every name and reason is hostile have the elements that ours have.

    And not one that could run or load something.
    """
    plain = {tag for html in pages_of(make_fleet(7)).values() for tag, _ in Elements(html).found}
    for html in pages_of(hostile_fleet()).values():
        elements = Elements(html)
        assert {tag for tag, _ in elements.found} <= plain
        assert sum(tag == "script" for tag, _ in elements.found) <= 1
        for _, attributes in elements.found:
            assert not [name for name in attributes if name.startswith("on") or name == "style"]
            assert "src" not in attributes
        assert "<script>alert(1)</script>" in elements.text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_as_it_is(name: str) -> None:
    """All of it that can be seen, in its row and on its page; the rest is written out."""
    fleet = make_fleet(1, names=(name,))
    for html in pages_of(fleet).values():
        text = Elements(html).text
        shown = name.replace("\u202e", r"\u202e").replace("\udcff", r"\udcff")
        shown = shown.replace("\x00", r"\x00").replace("\x1b", r"\x1b")
        assert (shown if len(shown) <= 200 else shown[:197] + "...") in text


def test_a_page_loads_nothing_and_runs_only_its_own_script() -> None:
    """Its policy has the digests of the very style and script that it has."""
    for html in pages_of(make_fleet(2)).values():
        elements = Elements(html)
        policies = [
            attributes["content"]
            for tag, attributes in elements.found
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        assert len(policies) == 1
        policy = dict(part.strip().split(" ", 1) for part in str(policies[0]).split(";"))
        script = elements.raw.get("script")
        assert policy == {
            "default-src": "'none'",
            "style-src": digest_of(elements.raw["style"]),
            "script-src": digest_of(script) if script else "'none'",
            "img-src": "data:",
            "base-uri": "'none'",
            "form-action": "'none'",
        }
        links = [a["href"] or "" for tag, a in elements.found if tag in {"a", "link"}]
        assert links
        assert not [href for href in links if re.match(r"(?!data:)[a-z]+:|//", href)]


def digest_of(text: str) -> str:
    """Return a source of a policy's that allows `text`."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def test_who_needs_attention_comes_first() -> None:
    """Alarms, then who is exposed, then by state: the table begins with the same ones."""
    page = tell_fleet(make_fleet(60))
    assert [bool(row.alarm) for row in page.rows] == sorted(
        (bool(row.alarm) for row in page.rows), reverse=True
    )
    quiet = [row for row in page.rows if not row.alarm]
    assert [row.is_exposed for row in quiet] == sorted((r.is_exposed for r in quiet), reverse=True)
    assert page.alarms == page.rows[:MOST_ALARMS]
    assert page.more_alarms == 10 - MOST_ALARMS
    assert page.headline == "10 clients need attention"
    assert not page.is_well


@pytest.mark.parametrize(
    ("count", "headline", "lead"),
    [
        (0, "No client is enrolled yet", ""),
        (2, "No client needs attention", "2 of 2 clients protected"),
        (3, "1 client needs attention", "2 of 3 clients protected"),
    ],
)
def test_the_headline_says_how_it_is(count: int, headline: str, lead: str) -> None:
    """In the first line."""
    page = tell_fleet(make_fleet(count))
    assert (page.headline, page.lead) == (headline, lead)
    assert page.is_well == (count < 3)
    assert headline in index_of(make_fleet(count))


def test_who_is_gone_is_not_counted_as_a_client_that_could_be_protected() -> None:
    """Nor as one that is not."""
    fleet = make_fleet(13)
    gone = sum(
        each.standing.state in {ClientState.LOST, ClientState.RETIRED} for each in fleet.clients
    )
    assert gone == 2
    assert f"3 of {13 - gone} clients protected" in tell_fleet(fleet).lead


def test_what_could_not_be_looked_at_is_said_and_is_not_well() -> None:
    """Silence would look like health."""
    page = tell_fleet(replace(make_fleet(2), faults=("daily: amanda.conf is not readable",)))
    assert page.faults == ("daily: amanda.conf is not readable",)
    assert not page.is_well
    html = index_of(replace(make_fleet(2), faults=("daily: amanda.conf is not readable",)))
    assert "daily: amanda.conf is not readable" in html


def test_unknown_is_never_zero() -> None:
    """A holding disk and volumes of which nothing is known, a client that was never seen."""
    fleet = make_fleet(1)
    client = replace(
        fleet.clients[0], facts=replace(fleet.clients[0].facts, last_seen=None, disks=())
    )
    page = tell_fleet(replace(fleet, clients=(client,), configs=(ConfigFacts("daily"),)))
    assert (page.configs[0].held, page.configs[0].volumes) == ("unknown", "unknown")
    assert page.configs[0].filled is None
    row = page.rows[0]
    assert (row.seen, row.backed_up) == (None, None)
    html = index_of(replace(fleet, clients=(client,)))
    assert ">none</td>" in html
    assert ">never</td>" in html


def test_equal_fleets_are_equal_pages_whenever_they_are_made() -> None:
    """So that nothing is written where nothing changed; the next day is a change."""
    fleet = make_fleet(20)
    later = replace(fleet, at=NOON + HOUR)
    other = make_fleet(21)

    def digests(view: FleetView) -> list[str]:
        renderer = Renderer(view, "backup1")
        return [page.digest for page in (renderer.make_index(), *renderer.make_clients())]

    assert digests(fleet) == digests(later)
    assert len(set(digests(fleet))) == 21
    assert digests(fleet)[1:] == digests(other)[1:-1]
    assert digests(fleet)[0] != digests(other)[0]
    assert not set(digests(fleet)[1:]) & set(digests(replace(fleet, at=NOON + DAY)))


def test_an_age_in_a_sentence_changes_a_page_by_the_hour() -> None:
    """Else each page would be written again each minute."""

    def digests(age: str) -> list[str]:
        fleet = make_fleet(1)
        standing = replace(
            fleet.clients[0].standing,
            sentence=f"protected: its last backup began {age} ago",
            evidence=(f"last connected 09:00 ({age} ago)",),
        )
        renderer = Renderer(replace(fleet, clients=(replace(fleet.clients[0], standing=standing),)))
        return [page.digest for page in (renderer.make_index(), *renderer.make_clients())]

    assert digests("3h 5m") == digests("3h 50m")
    assert not set(digests("3h 5m")) & set(digests("4h 5m"))


def test_a_page_says_when_it_was_made_with_its_zone() -> None:
    """Exactly, for programs as well."""
    html = index_of(replace(make_fleet(1), at=datetime(2026, 7, 1, 9, 5, 7, tzinfo=UTC)))
    local = datetime(2026, 7, 1, 9, 5, 7, tzinfo=UTC).astimezone()
    assert f'datetime="{local.isoformat()}"' in html
    assert f"{local:%Y-%m-%d %H:%M} {local.tzname()}</time>" in html


RUN = RunRow(7, "daily", RunKind.BATCH, ("a",), NOON, "20261130120000")


@pytest.mark.parametrize(
    ("run", "result", "tone"),
    [
        (RUN, "goes on", "open"),
        (replace(RUN, ended_at=NOON + HOUR, is_clean=True, exit_status=0), "clean", "good"),
        (replace(RUN, ended_at=NOON + HOUR, exit_status=4), "exit status 4", "bad"),
        (replace(RUN, ended_at=NOON + HOUR, remark="cut"), "not clean: cut", "bad"),
    ],
)
def test_a_run_is_told_by_its_end(run: RunRow, result: str, tone: str) -> None:
    """And one that goes on says nothing that changes by itself."""
    shown = tell_run(run)
    assert (shown.result, shown.tone) == (result, tone)
    assert shown.took == ("1h" if run.ended_at else "")


def test_many_names_are_folded() -> None:
    """A run of five hundred is one line."""
    shown = tell_run(replace(RUN, hosts=tuple(f"laptop{n}" for n in range(500))))
    assert shown.clients.endswith("laptop11 and 488 more")


def test_a_clients_page_has_its_own_runs_only() -> None:
    """Those of its configuration that were made for it."""
    fleet = make_fleet(3)
    pages = pages_of(fleet)
    assert "20261130110000" in pages["laptop0001@daily.html"]
    assert "20261130110000" not in pages["laptop0002@daily.html"]
    other = replace(fleet, runs=(replace(fleet.runs[0], amanda_config="weekly"),))
    assert "20261130110000" not in pages_of(other)["laptop0001@daily.html"]


def test_the_configuration_is_named_where_there_are_several() -> None:
    """Else it would be said in each row."""
    fleet = make_fleet(2)
    assert 'class="cfg"' not in index_of(fleet)
    one, other = fleet.clients
    both = (one, replace(other, facts=replace(other.facts, amanda_config="weekly")))
    assert '<span class="cfg">weekly</span>' in index_of(replace(fleet, clients=both))


def test_the_width_of_all_states_is_the_bar() -> None:
    """One after the other, without a gap."""
    states = tell_fleet(make_fleet(77)).states
    assert states[0].start == 0
    assert states[-1].start + states[-1].width == pytest.approx(100, abs=0.1)
    assert sum(each.clients for each in states) == 77
