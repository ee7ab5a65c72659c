"""What can be done with the page: sort, filter, follow links; and that nobody's words run in it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.fleets import DAY, NOON, make_fleet
from tests.page.conftest import Opener

from asyncamanda.core.fleet.standing import FleetView

Writer = Callable[[FleetView], Path]

HOSTILE = (
    "<script>window.hit = 1; alert(1)</script>",
    "\"><img src=x onerror='window.hit = 2; alert(2)'>",
    "<svg onload=alert(3)>' onmouseover='alert(4)",
    "</style></script><script>alert(5)</script>",
    "\u202egnp.exe\udcff\u2066",
    "w" * 3000,
)


def names(page: Page) -> list[str]:
    """Return the clients in the rows that can be seen, in their order."""
    rows = "[...document.querySelectorAll('#list tbody tr')].filter((row) => !row.hidden)"
    shown: list[str] = page.evaluate(f"{rows}.map((row) => row.querySelector('th a').textContent)")
    return shown


def press(page: Page, column: str) -> str | None:
    """Press the head of a column, and return what it then says of its order."""
    head = page.get_by_role("columnheader", name=column, exact=True)
    head.get_by_role("button").click()
    return head.get_attribute("aria-sort")


def test_a_column_sorts_and_pressed_again_the_other_way(
    fleets: dict[int, Path], visit: Opener
) -> None:
    """By numbers and times, not by their letters; only one head says that it is sorted by."""
    page = visit(fleets[500] / "index.html")
    before = names(page)
    assert press(page, "Client") == "ascending"
    assert names(page) == sorted(before)
    assert press(page, "Client") == "descending"
    assert names(page) == sorted(before, reverse=True)
    assert press(page, "Exposure") == "descending"
    cells = "[...document.querySelectorAll('#list tbody td.n')]"
    used = page.evaluate(f"{cells}.map((cell) => Number(cell.dataset.s))")
    assert used == sorted(used, reverse=True)
    assert used[0] == 29
    assert press(page, "Last backup") == "descending"
    assert page.locator("#list tbody td.u").first.inner_text() == "none"
    assert press(page, "Last backup") == "ascending"
    first = page.locator("#list tbody td.u time").first.get_attribute("datetime")
    oldest = NOON - timedelta(hours=39 * 5 + 1)
    assert first
    assert datetime.fromisoformat(first) == oldest
    assert page.locator("#list th[aria-sort]").count() == 1


def test_sorting_is_done_with_the_keyboard_as_well(fleets: dict[int, Path], visit: Opener) -> None:
    """By Tab and Enter, and one sees where one is."""
    page = visit(fleets[5] / "index.html")
    page.locator("#urgent").focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement"
    assert page.evaluate(f"{focused}.textContent") == "Client"
    assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert names(page) == [f"laptop000{n}" for n in range(5)]


def test_words_a_state_and_alarms_filter(fleets: dict[int, Path], visit: Opener) -> None:
    """All at once; how many are shown is said."""
    page = visit(fleets[500] / "index.html")
    assert page.locator("#shown").inner_text() == "500 shown"
    page.get_by_label("Search in names and reasons").fill("LAPTOP004 space")
    assert set(names(page)) == {"laptop0041"}
    assert page.locator("#shown").inner_text() == "1 of 500 shown"
    page.get_by_label("Search in names and reasons").fill("")
    page.get_by_label("State", exact=True).select_option("away")
    assert len(names(page)) == 38
    assert set(page.locator("#list tbody tr:not([hidden]) .tag:first-child").all_inner_texts()) == {
        "away"
    }
    page.get_by_label("alarms only").check()
    assert names(page) == []
    page.get_by_label("State", exact=True).select_option("")
    assert len(names(page)) == 78


def test_a_count_of_a_state_leads_to_its_clients(fleets: dict[int, Path], visit: Opener) -> None:
    """One click from the number to who it is."""
    page = visit(fleets[500] / "index.html")
    page.locator("a[data-state=deferred]").click()
    assert len(names(page)) == 38
    assert page.get_by_label("State", exact=True).input_value() == "deferred"


def test_a_client_has_a_page_and_a_way_back(fleets: dict[int, Path], visit: Opener) -> None:
    """By links of the folder alone, so that it can lie anywhere."""
    page = visit(fleets[5] / "index.html")
    page.locator("#list").get_by_role("link", name="laptop0002").click()
    assert page.get_by_role("heading", name="laptop0002").is_visible()
    assert page.get_by_text("no space left on device").first.is_visible()
    page.get_by_role("link", name="All clients on backup1").click()
    assert page.get_by_role("heading", name="Clients", exact=True).is_visible()


@pytest.mark.parametrize("width", [360, 1600])
def test_without_a_script_all_can_be_read(
    fleets: dict[int, Path], visit: Opener, width: int
) -> None:
    """Only what needs the script is not there."""
    page = visit(fleets[5] / "index.html", width=width, js=False)
    assert page.get_by_text("2 clients need attention").is_visible()
    assert not page.locator("#filter").is_visible()
    assert page.locator("#list button").count() == 0
    for name in range(5):
        assert page.locator("#list").get_by_role("link", name=f"laptop000{name}").is_visible()
    assert page.locator("#list .strip").first.is_visible()
    assert page.get_by_role("img", name="Share protected from").is_visible()
    page.get_by_text("The history of the fleet as a table").click()
    assert page.get_by_role("rowheader", name="2026-11-30").is_visible()


def test_an_old_page_says_that_it_is_old(write: Writer, visit: Opener) -> None:
    """A page that nobody writes any more looks as well as on its last day."""
    old = visit(write(replace(make_fleet(1), at=datetime.now(UTC) - 3 * DAY)) / "index.html")
    age = old.locator("#age")
    assert age.inner_text() == ", 3 days ago: this page is old, and may not be true any more"
    assert age.get_attribute("class") == "stale"
    new = visit(write(replace(make_fleet(2), at=datetime.now(UTC))) / "index.html")
    assert new.locator("#age").inner_text() == ", just now"
    assert new.locator("#age").get_attribute("class") == ""


@pytest.mark.parametrize("width", [360, 1600])
def test_no_word_of_a_client_runs_and_all_are_shown(
    write: Writer, visit: Opener, width: int
) -> None:
    """Names, disks and reasons with markup, with what turns a line round, and without an end."""
    fleet = make_fleet(len(HOSTILE), names=HOSTILE)
    clients = tuple(
        replace(
            each,
            facts=replace(
                each.facts, disks=tuple(replace(d, disk=HOSTILE[1]) for d in each.facts.disks)
            ),
            standing=replace(each.standing, sentence=HOSTILE[1], alarm=HOSTILE[2]),
        )
        for each in fleet.clients
    )
    folder = write(replace(fleet, clients=clients, faults=HOSTILE))
    paths = sorted((folder / "client").iterdir())
    assert len(paths) == len(HOSTILE)
    for path in (folder / "index.html", *paths[width == 360 :: 3]):
        page = visit(path, width=width)
        assert page.evaluate("window.hit") is None
        assert page.get_by_text(HOSTILE[1]).first.is_visible()
        assert page.get_by_text(HOSTILE[2]).first.is_visible()
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page = visit(folder / "index.html", width=width)
    for name in HOSTILE[:4]:
        assert page.get_by_text(name, exact=True).first.is_visible()
    assert page.get_by_text(r"\u202egnp.exe\udcff\u2066").first.is_visible()
    page.mouse.move(200, 200)
    page.locator("#list").get_by_role("link", name=HOSTILE[0]).click()
    assert page.get_by_role("heading", name=HOSTILE[0]).is_visible()


def test_the_policy_would_stop_what_was_not_escaped(write: Writer, browser: Browser) -> None:
    """The second wall: markup that got into the page anyway neither runs nor loads."""
    path = write(make_fleet(1)) / "index.html"
    bad = "<script>window.hit = 1</script><img src='http://192.0.2.1/x.png'><p style='color:red'>"
    path.write_text(path.read_text("utf-8").replace("</main>", f"{bad}</main>"))
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert page.evaluate("window.hit") is None
    refusals = [text for text in said if "Content Security Policy" in text]
    assert len(refusals) == 3, said
    page.close()
