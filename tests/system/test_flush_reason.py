"""Whoever asks for a flush of an Amanda configuration that cannot be used learns why."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.system.relays import lend_state

from asyncamanda.commands.server import flush
from asyncamanda.config.server import ServerConfig
from asyncamanda.errors import AsyncamandaError, Exit
from asyncamanda.server.amanda.commands import Settings
from asyncamanda.server.dispatch import callers
from asyncamanda.server.dispatch.amanda_config import Site
from asyncamanda.server.dispatch.coordinator import Coordinator
from asyncamanda.server.dispatch.dispatcher import Dispatcher
from asyncamanda.server.dispatch.ledger_care import open_ledger
from asyncamanda.server.enrol.registry import Registry
from asyncamanda.server.gate import ipc
from asyncamanda.system.clock import now

MISSING = "no-such-configuration"  # of the real Amanda's, which says so itself


@contextmanager
def serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Yield what asks for a flush of a dispatcher in a thread of its own, with the real Amanda."""
    config = ServerConfig(ledger=str(folder / "ledger.sqlite"))
    ready, made = threading.Event(), []

    async def serve() -> None:
        dispatcher = Dispatcher(config, open_ledger(config), Registry(folder / "keys"))
        made.append((dispatcher, asyncio.get_running_loop()))
        dispatcher._listener.listen()
        ready.set()
        while not dispatcher._stop.is_set():
            dispatcher._coordinators.pump()
            await asyncio.sleep(0.02)
        dispatcher._listener.close()
        dispatcher.close()

    with lend_state(monkeypatch) as state:
        monkeypatch.setattr(ipc.socket_path, "__defaults__", (state,))
        monkeypatch.setattr(ipc.call_dispatcher, "__defaults__", (state,))
        monkeypatch.setattr(ipc.ask_dispatcher, "__kwdefaults__", {"state": state})
        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        assert ready.wait(30)
        ((dispatcher, loop),) = made
        try:
            yield lambda name: flush._ask_for_flush(name, config)
        finally:
            loop.call_soon_threadsafe(dispatcher._stop.set)
            thread.join(30)


def test_one_that_amanda_refuses_is_told_with_amandas_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon, though it is tried again at each question; with its name, the reason, and a hint."""
    began = now()
    with serving(tmp_path, monkeypatch) as answer, pytest.raises(AsyncamandaError) as caught:
        answer(MISSING)
    assert now() - began < timedelta(seconds=20)
    error = caught.value
    assert error.exit is Exit.CONFIGURATION
    assert error.reference == "amanda-config"
    assert error.message.startswith(f"cannot use the Amanda configuration {MISSING}: ")
    assert "No such file or directory" in error.message or "not found" in error.message
    assert f"amcheck -s {MISSING}" in error.hint


def test_one_that_was_broken_since_is_told_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was opened while it was whole, and no flush is begun by what it said then."""

    async def open_it(coordinator: Coordinator) -> None:
        """Find all well."""
        coordinator.site._settings = Settings(MISSING, tmp_path, (), ())

    monkeypatch.setattr(Coordinator, "_take_up", open_it)
    with serving(tmp_path, monkeypatch) as answer, pytest.raises(AsyncamandaError) as caught:
        answer(MISSING)
    assert caught.value.message.startswith(f"cannot use the Amanda configuration {MISSING}: ")


def test_amanda_that_takes_long_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than the dispatcher may take for an answer; it is asked for anyway, once."""
    has_asked, may_answer, asked = threading.Event(), threading.Event(), []

    async def open_it(coordinator: Coordinator) -> None:
        coordinator.site._settings = Settings(MISSING, tmp_path, (), ())

    async def read_anew(_site: Site) -> None:
        asked.append(now())
        await asyncio.to_thread(may_answer.wait, 20)

    ask_dispatcher = ipc.ask_dispatcher

    def ask(*words: str) -> str | None:
        try:
            return ask_dispatcher(*words)
        finally:
            has_asked.set()

    def let_answer() -> None:
        assert has_asked.wait(20)
        may_answer.set()

    monkeypatch.setattr(Coordinator, "_take_up", open_it)
    monkeypatch.setattr(Coordinator, "pump", lambda _coordinator: None)
    monkeypatch.setattr(Site, "read_anew", read_anew)
    monkeypatch.setattr(callers, "OPENS_WITHIN", 0.5)
    monkeypatch.setattr(ipc, "ANSWER_WITHIN", 2.0)
    with serving(tmp_path, monkeypatch) as answer:
        monkeypatch.setattr(ipc, "ask_dispatcher", ask)
        answering = threading.Thread(target=let_answer)
        answering.start()
        assert answer(MISSING) == "nothing is held"
        answering.join()
    assert len(asked) == 1
