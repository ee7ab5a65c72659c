"""The Amanda configuration that setup writes; tests/e2e/test_setup.py has Amanda read it."""

import re
import tomllib
from pathlib import Path

import pytest

from asyncamanda.config.server import ServerConfig, parse_server_config
from asyncamanda.server.enrol.newconfig import LEAST_SIZE, NewConfig, render_amanda_conf
from asyncamanda.server.enrol.setup import SERVER_TOML

MEGABYTE = 1 << 20


def render(size: int) -> str:
    """Return the amanda.conf for so many bytes."""
    return render_amanda_conf(NewConfig("mobile", Path("/srv/vt"), Path("/srv/held"), size))


def number(pattern: str, text: str) -> int:
    """Return the one number that `pattern` finds."""
    (found,) = re.findall(pattern, text, re.MULTILINE)
    return int(found)


@pytest.mark.parametrize("size", [LEAST_SIZE, 500 * 10**9, 12_345_678_901, 40 * 10**12])
def test_the_room_is_shared_out(size: int) -> None:
    """Volumes and holding disk together use no more, and hardly less; a flush takes all held."""
    text = render(size)
    slots = number(r'"num-slot" "(\d+)"', text)
    length = number(r"^ *length (\d+) mbytes", text)
    held = number(r"^ *use (\d+) mbytes", text)
    used = (slots * length + held) * MEGABYTE
    assert size - (slots + 1) * MEGABYTE <= used <= size
    assert number(r"^runtapes (\d+)", text) * length > held
    assert number(r"^tapecycle (\d+) tapes", text) == slots
    assert 0 < number(r"part-size (\d+) mbytes", text) <= length // 5


def test_every_place_and_name_is_what_was_asked_for() -> None:
    """Nothing of a template is left, and Amanda's own folders are the configuration's."""
    wanted = NewConfig("mobile", Path("/srv/vt"), Path("/srv/held"), LEAST_SIZE, "amanda")
    text = render_amanda_conf(wanted)
    assert 'tpchanger "chg-disk:/srv/vt"' in text
    assert 'directory "/srv/held"' in text
    assert 'dumpuser "amanda"' in text
    assert 'autolabel "mobile-%%%" empty' in text
    assert "{{" not in text
    named = {Path(path) for path in re.findall(r'^(?:info|log|index)\w+ +"(.*)"', text, re.M)}
    assert named == {Path("/var/lib/amanda/mobile", kind) for kind in ("curinfo", "log", "index")}
    assert named < set(wanted.folders)
    assert {wanted.vtapes, wanted.holding} < set(wanted.folders)


def test_what_runs_without_a_taper_need_is_there() -> None:
    """Fulls in degraded mode, and no threshold, which would keep amflush from writing."""
    text = render(LEAST_SIZE)
    assert re.search(r"^reserve 0\b", text, re.MULTILINE)
    base, *others = text.split("define dumptype ")[1:]
    assert "maxpromoteday 0" in base
    assert others
    assert all("\n    roaming-base\n" in each for each in others)
    assert not re.search(r"^(flush-threshold|taperflush|autoflush)", text, re.MULTILINE)


def test_the_server_toml_shows_the_defaults() -> None:
    """As it is written it changes nothing; with each line switched on it changes nothing, too."""
    assert parse_server_config(SERVER_TOML, "server.toml") == ServerConfig()
    lines = re.sub(r"^# (?=\w+ += )", "", SERVER_TOML, flags=re.MULTILINE)
    lines = re.sub(r"^ledger .*\n", "", lines, flags=re.MULTILINE)  # whose default is a place
    assert parse_server_config(lines, "server.toml") == ServerConfig()
    keys = tomllib.loads(lines)
    assert len(keys.pop("flush")) == 6
    assert len(keys.pop("limits")) == 3
    assert len(keys.pop("watch")) == 4
    assert len(keys.pop("drill")) == 4
    assert keys.pop("restore") == {"filters": [], "keep_heads": "2 GB"}
    assert keys.pop("export") == {"folder": "", "keep": 7, "encrypt_to": []}
    assert keys.pop("fleet") == {"interval": "1d", "stale_after": "7d", "never_after": "3d"}
    assert len(keys) == 9
