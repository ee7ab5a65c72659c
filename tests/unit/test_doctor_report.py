"""What the doctor finds, as it is shown."""

import pytest

from asyncamanda.core.amanda.amcheck import Trouble
from asyncamanda.core.amanda.disklist import Dle
from asyncamanda.core.doctor.findings import Check, Health
from asyncamanda.core.ssh.publickey import PublicKey
from asyncamanda.report.doctor import (
    check_value,
    render_check,
    sum_up_checks,
    trouble_value,
)
from asyncamanda.server.enrol.doctor import check_answer, judge_dles, plan_amcheck, plan_ssh
from asyncamanda.server.enrol.enrolled import Enrolled
from asyncamanda.system.programs import Answer

OK, WARNING, BAD, ABSENT, SKIPPED = Health
MENDED = Trouble("odd", "why it matters", "what mends it")
AWAY = Trouble("away", "not there", "start it", is_absence=True)


def check(health: Health, *troubles: Trouble) -> Check:
    """Return a check that ended so."""
    return Check("amcheck", health, "found", troubles=troubles)


def test_a_check_that_is_well_is_one_line() -> None:
    """The verdict, the name, and what was found."""
    assert render_check(Check("alias", OK, "ssh goes there")) == ["ok   alias      ssh goes there"]
    assert render_check(Check("amcheck", SKIPPED, "not run")) == ["-    amcheck    not run"]


def test_below_a_bad_one_is_why_it_matters_and_what_to_do() -> None:
    """And the same for each of its troubles."""
    assert render_check(Check("connected", ABSENT, "not now", "a reason", "a remedy")) == [
        "away connected  not now",
        "       why: a reason",
        "       do:  a remedy",
    ]
    assert render_check(check(BAD, MENDED)) == [
        "bad  amcheck    found",
        "     odd",
        "       why: why it matters",
        "       do:  what mends it",
    ]


def test_it_fits_into_80_columns_and_harms_no_terminal() -> None:
    """Words stay whole, so that a path can be copied; what a terminal would act on is escaped."""
    long = "word " * 40
    lines = render_check(Check("alias", BAD, long, long, long, (Trouble(long, long, long),)))
    assert max(map(len, lines)) <= 80
    path = "/a" * 60
    assert any(path in line for line in render_check(Check("alias", BAD, f"no {path}")))
    assert render_check(Check("alias", BAD, "\x1b[2J")) == ["bad  alias      \\x1b[2J"]


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ((check(OK), check(SKIPPED)), "laptop: all well"),
        ((check(OK), check(WARNING)), "laptop: nothing to fix; warnings: amcheck"),
        ((check(OK), check(ABSENT)), "laptop: nothing is wrong so far, but it is not connected"),
        ((check(BAD), check(ABSENT)), "laptop: 1 problem to fix"),
        ((check(BAD), check(BAD, MENDED, MENDED)), "laptop: 3 problems to fix"),
    ],
)
def test_the_sum_is_a_line(checks: tuple[Check, ...], words: str) -> None:
    """What has to be fixed counts first; each trouble is a thing of its own."""
    assert sum_up_checks("laptop", checks) == words


@pytest.mark.parametrize(
    ("health", "is_ok"), [(OK, True), (BAD, False), (ABSENT, False), (SKIPPED, None)]
)
def test_a_check_as_a_value(health: Health, is_ok: bool | None) -> None:
    """What was not looked at is neither well nor bad."""
    assert check_value(Check("alias", health, "found", "", "fix")) == {
        "check": "alias",
        "ok": is_ok,
        "found": "found",
        "why": None,
        "fix": "fix",
    }


def test_a_trouble_as_a_value() -> None:
    """What was said, why it matters, what fixes it."""
    value = {"said": "odd", "why": "why it matters", "fix": "what mends it"}
    assert trouble_value(MENDED) == value


def test_amcheck_decides_by_what_it_says() -> None:
    """Well; away if nothing else is wrong; else bad."""
    well = "Client check: 1 host checked in 2.065 seconds.  0 problems found.\n"
    away = "asyncamanda: laptop has left\n"
    assert check_answer("laptop", Answer(0, well, "")).health is OK
    assert check_answer("laptop", Answer(1, "", away)).health is ABSENT
    both = check_answer("laptop", Answer(1, "ERROR: odd\n", away))
    assert (both.health, both.found) == (BAD, "2 problems")


@pytest.mark.parametrize(
    ("dles", "health", "found"),
    [
        ([Dle("lap", "/a", auth="ssh")], OK, "/a; all with auth ssh"),
        (
            [Dle("lap", "/a", auth="ssh"), Dle("lap", "/b", auth="ssh", parked="ignore")],
            OK,
            "/a; all with auth ssh; parked: /b (ignore)",
        ),
        (
            [Dle("lap", "/a", auth="ssh"), Dle("lap", "/b", auth="x", parked="ignore")],
            OK,
            "/a; all with auth ssh; parked: /b (ignore)",
        ),
        (
            [Dle("lap", "/a", parked="strategy skip"), Dle("lap", "/b", parked="ignore")],
            BAD,
            "parked: /a (strategy skip), /b (ignore)",
        ),
        ([Dle("lap", "/a", auth="bsd")], BAD, "/a (auth bsd)"),
    ],
)
def test_what_amanda_would_dump_and_how(dles: list[Dle], health: Health, found: str) -> None:
    """What is parked is named, and does no harm; where all of it is, nothing is backed up."""
    check = judge_dles("daily", dles, is_relayed=True)
    assert (check.health, check.found) == (health, found)


def test_a_direct_client_may_have_any_auth() -> None:
    """Amanda calls it by itself."""
    check = judge_dles("daily", [Dle("lap", "/a", auth="bsd")], is_relayed=False)
    assert (check.health, check.found) == (OK, "/a")


def test_what_is_asked() -> None:
    """ssh as Amanda starts it; amcheck of that very host."""
    assert plan_ssh("backup", "laptop") == [
        *("ssh", "-G", "-x", "-o", "BatchMode=yes", "-l", "backup", "--", "laptop")
    ]
    entry = Enrolled("laptop", "daily", PublicKey("ssh-ed25519", "AAAA", ""))
    assert plan_amcheck(entry) == ["amcheck", "-c", "daily", "=laptop"]
