"""How the page looks and whether everybody can use it, at three widths, in light and in dark."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from tests.page.conftest import SHOTS, Opener

WIDTHS = (360, 800, 1600)
SCHEMES = ("light", "dark")
PLACES = {"list": "index.html", "client": "client/laptop0002@daily.html"}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", PLACES)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    fleets: dict[int, Path], visit: Opener, kind: str, width: int, scheme: str
) -> None:
    """Contrast, names, order, tables: every rule of axe-core's. And it is a picture to look at."""
    page = visit(fleets[5] / PLACES[kind], width=width, scheme=scheme)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{kind}-5-{width}-{scheme}.png", full_page=True)
    results = Axe().run(page, options={"resultTypes": ["violations"]})
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_five_hundred_clients_fit_as_well(
    fleets: dict[int, Path], visit: Opener, width: int, scheme: str
) -> None:
    """Who is in danger stands in the first window, at any width."""
    page = visit(fleets[500] / "index.html", width=width, scheme=scheme)
    page.screenshot(path=SHOTS / f"list-500-{width}-{scheme}.png")
    page.locator("#clients").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_text("78 clients need attention").is_visible()
    box = page.locator(".alarms > li").first.bounding_box()
    assert box
    top = page.evaluate("window.scrollY") + box["y"]
    assert top < 300
    page.evaluate("document.getElementById('clients').scrollIntoView()")
    page.screenshot(path=SHOTS / f"table-500-{width}-{scheme}.png")


def test_an_axe_violation_would_be_found(visit: Opener, tmp_path: Path) -> None:
    """The check can fail."""
    bad = tmp_path / "bad.html"
    bad.write_text("<!doctype html><title>x</title><p style='color:#ccc'>grey")
    found = Axe().run(visit(bad)).violations_count
    assert found >= 2  # language, contrast


def test_a_page_without_clients_says_so(fleets: dict[int, Path], visit: Opener) -> None:
    """And what invites the first one."""
    page = visit(fleets[0] / "index.html")
    assert page.get_by_text("No client is enrolled yet").is_visible()
    assert page.get_by_text("asyncamanda server invite").is_visible()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_all_days_have_a_shape_and_words(fleets: dict[int, Path], visit: Opener) -> None:
    """Colours are never the only sign: heights and patterns differ, and a reader is told counts."""
    page = visit(fleets[5] / "index.html")
    shapes = page.evaluate(
        """[...document.querySelectorAll(".legend path")].map((path) => {
            const style = getComputedStyle(path);
            return style.strokeWidth + " " + style.strokeDasharray;
        })"""
    )
    assert len(shapes) == 5
    assert len(set(shapes)) == 5
    strip = page.locator("#list .strip").first
    assert re.fullmatch(
        r"last 90 days: (\d+ [a-z ]+(, )?){5,6}", strip.get_attribute("aria-label") or ""
    )


def test_on_paper_the_controls_are_left_out(fleets: dict[int, Path], visit: Opener) -> None:
    """And the list is there."""
    page = visit(fleets[5] / "index.html")
    page.emulate_media(media="print")
    assert not page.locator("#filter").is_visible()
    assert page.locator("#list").is_visible()
