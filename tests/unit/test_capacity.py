"""What a server has room for, and what in its configuration stands in the way of our runs."""

from dataclasses import replace
from datetime import time

import pytest

from asyncamanda.core.amanda.config import parse_config
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.doctor.capacity import Server, judge_capacity
from asyncamanda.core.doctor.findings import Health

CONFIG = """\
TPCHANGER             "vtapes"
TAPETYPE              VTAPE
TAPECYCLE             20
RESERVE               {reserve}

DEFINE TAPETYPE VTAPE {{
      LENGTH    20000000K
}}

DEFINE CHANGER vtapes {{
      TPCHANGER           "chg-disk:/srv/vtapes"
      PROPERTY            visible "num-slot" "{slots}"
      PROPERTY            visible "auto-create-slot" "yes"
}}
"""
HOME = Dle("laptop", "/home", auth="ssh")


def server(*, reserve: int = 0, slots: int = 20, hold: str = "") -> Server:
    """Return a server that is as it should be but for that."""
    config = parse_config(CONFIG.format(reserve=reserve, slots=slots))
    return Server(config, 100 * 10**9, hold)


def test_where_all_is_well_the_limits_are_told() -> None:
    """How much may be held, and how much one disk may have, as a sum."""
    check = judge_capacity(server(), [HOME])
    assert check.health is Health.OK
    assert check.found == (
        "the holding disk takes 100 GB; what is larger goes straight to volumes; "
        "a disk may have 205 GB (half of 20 volumes of 20 GB) at most"
    )


@pytest.mark.parametrize(
    ("there", "dle", "health", "said"),
    [
        (server(hold="/etc/amanda/daily/hold"), HOME, Health.BAD, "/etc/amanda/daily/hold exists"),
        (server(), replace(HOME, starttime=time(22, 30)), Health.BAD, "starttime: /home 22:30"),
        (server(), replace(HOME, is_never_held=True), Health.WARNING, "holdingdisk never: /home"),
        (server(reserve=100), HOME, Health.WARNING, "reserve 100"),
        (server(slots=10), HOME, Health.WARNING, "tapecycle 20, and 10 volumes"),
    ],
)
def test_what_is_in_the_way_is_named(there: Server, dle: Dle, health: Health, said: str) -> None:
    """Bad where clients are put off for it, and a warning where it costs volumes."""
    check = judge_capacity(there, [dle])
    assert (check.health, [trouble.said for trouble in check.troubles]) == (health, [said])


def test_a_parked_disk_is_in_nobodys_way() -> None:
    """Nor are slots that are not counted, as those of a changer of real tapes."""
    parked = replace(HOME, parked="ignore", starttime=time(22, 30), is_never_held=True)
    assert judge_capacity(server(slots=0), [parked]).health is Health.OK
