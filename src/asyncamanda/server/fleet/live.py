"""What the running dispatcher says goes on: who is connected, who waits for what."""

from datetime import datetime, timedelta
from typing import Any

from asyncamanda.core.values.foreign import parse_json
from asyncamanda.report.server import ConfigView, LiveRun, WaitingClient
from asyncamanda.server.gate import ipc


def ask_what_goes_on() -> tuple[frozenset[str], dict[str, ConfigView], str]:
    """Return who is connected, each configuration that is open, and what could not be learned.

    Nobody and nothing where no dispatcher runs, which is no fault.
    """
    try:
        text = ipc.ask_dispatcher("view")
        if text is None:
            return frozenset(), {}, ""
        connected, configs = parse_view(parse_json(text))
    except OSError as error:
        return frozenset(), {}, f"the dispatcher does not say who is connected: {error}"
    except (KeyError, TypeError, ValueError):
        return frozenset(), {}, "the dispatcher's answer is invalid; is it another version?"
    return frozenset(connected), {config.amanda_config: config for config in configs}, ""


def parse_view(answer: dict[str, Any]) -> tuple[list[str], list[ConfigView]]:
    """Return who is connected, and the state of each Amanda configuration.

    `answer` is the dispatcher's to "view". Raises KeyError, TypeError or ValueError if it is not.
    """
    connected = [str(client) for client in answer["connected"]]
    return connected, [_parse_config(config) for config in answer["configs"]]


def _parse_config(config: dict[str, Any]) -> ConfigView:
    since = config["flush_due_since"]
    return ConfigView(
        amanda_config=str(config["amanda_config"]),
        waiting=tuple(_parse_waiting(one) for one in config["waiting"]),
        runs=tuple(_parse_run(one) for one in config["runs"]),
        has_others=bool(config["others"]),
        held=int(config["held_bytes"]),
        capacity=int(config["holding_bytes"]),
        flush_due_since=None if since is None else datetime.fromisoformat(since),
        fault=str(config.get("fault") or ""),
    )


def _parse_waiting(row: dict[str, Any]) -> WaitingClient:
    seconds = row["estimate_seconds"]
    return WaitingClient(
        client=str(row["client"]),
        submitted_at=datetime.fromisoformat(row["submitted_at"]),
        is_present=bool(row["present"]),
        place=int(row["place"]),
        waits_for=str(row["waits_for"]),
        estimate=None if seconds is None else timedelta(seconds=seconds),
    )


def _parse_run(row: dict[str, Any]) -> LiveRun:
    stamp = row["run"]
    return LiveRun(
        timestamp=None if stamp is None else str(stamp),
        kind=str(row["kind"]),
        clients=tuple(map(str, row["clients"])),
        begun_at=datetime.fromisoformat(row["begun_at"]),
        unfinished=tuple(map(str, row["unfinished"])),
    )
