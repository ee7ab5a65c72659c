"""A real Chromium, and the page of fleets in folders, opened as files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright
from tests.fleets import make_fleet

from asyncamanda.core.fleet.standing import FleetView
from asyncamanda.server.fleet.page_folder import write_page

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"
CHROMIUM = "/usr/bin/chromium"  # Debian's

Opener = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a browser for all tests; as root it has no sandbox of its own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return the folders of the pages of fleets by how many clients they have."""
    made = {}
    for count in (0, 5, 500):
        made[count] = tmp_path_factory.mktemp(f"fleet{count}")
        write_page(made[count], make_fleet(count), "backup1")
    return made


@pytest.fixture
def write(tmp_path: Path) -> Callable[[FleetView], Path]:
    """Return what writes the page of a fleet, and returns its folder."""

    def write_fleet(view: FleetView) -> Path:
        write_page(tmp_path, view, "backup1")
        return tmp_path

    return write_fleet


@pytest.fixture
def visit(browser: Browser) -> Iterator[Opener]:
    """Return what opens a page; it fails at the end if a page asked for anything, or had an error.

    A page may load itself, and nothing else.
    """
    contexts, faults = [], []

    def refuse(dialog: Dialog) -> None:
        faults.append(dialog.message)
        dialog.dismiss()

    def open_page(path: Path, *, width: int = 1600, scheme: str = "light", js: bool = True) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=js,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        page.on("dialog", refuse)
        asked: list[str] = []
        page.goto(path.as_uri())
        foreign = [url for url in asked if url != path.as_uri() and not url.startswith("data:")]
        faults.extend(foreign)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
