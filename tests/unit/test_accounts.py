"""How old an account is, as far as anybody knows."""

from datetime import UTC, datetime, timedelta

from asyncamanda.core.restore.accounts import (
    SeenAccounts,
    date_account,
    is_ordinary,
    look_again,
    meet,
    parse_passwd,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ANA, BOB = (1000, "ana"), (1001, "bob")


def nobody_knows(_: int) -> None:
    """Be a directory that is away."""


def look(seen: SeenAccounts | None, at: datetime, *local: tuple[int, str]) -> SeenAccounts:
    """Return what is known after a look at `at`."""
    return look_again(seen, local, nobody_knows, at)


def test_an_account_is_as_old_as_the_first_look_that_saw_it() -> None:
    """For the second look says that it was not there before."""
    seen = look(look(None, NOW, ANA), NOW + DAY, ANA, BOB)
    assert date_account(seen, *ANA, None) == NOW
    assert date_account(seen, *BOB, None) == NOW + DAY


def test_a_home_is_evidence_only_for_those_who_were_there_when_it_began() -> None:
    """A later account may have been given a home that is older than itself."""
    seen = look(look(None, NOW, ANA), NOW + DAY, ANA, BOB)
    assert date_account(seen, *ANA, NOW - 9 * DAY) == NOW - 9 * DAY
    assert date_account(seen, *BOB, NOW - 9 * DAY) == NOW + DAY


def test_a_home_makes_nobody_younger() -> None:
    """It may have been made again."""
    assert date_account(look(None, NOW, ANA), *ANA, NOW + DAY) == NOW


def test_a_uid_that_went_to_somebody_else_is_young() -> None:
    """That is what all of this is for."""
    seen = look(look(None, NOW, ANA), NOW + DAY, (1000, "eve"))
    assert date_account(seen, 1000, "eve", NOW - 9 * DAY) == NOW + DAY
    assert date_account(seen, *ANA, NOW - 9 * DAY) is None


def test_an_account_that_was_away_begins_anew() -> None:
    """Its name and uid may be another person's by now."""
    seen = look(look(look(None, NOW, ANA, BOB), NOW + DAY, BOB), NOW + 2 * DAY, ANA, BOB)
    assert date_account(seen, *ANA, NOW - 9 * DAY) == NOW + 2 * DAY


def test_an_account_that_nobody_has_seen_has_no_age() -> None:
    """So it gets nothing."""
    assert date_account(look(None, NOW, ANA), *BOB, NOW - DAY) is None


def test_a_clock_that_was_set_back_makes_nobody_older() -> None:
    """What is new is younger than the last look."""
    seen = look(look(None, NOW, ANA), NOW - 9 * DAY, ANA, BOB)
    assert date_account(seen, *BOB, None) == NOW
    assert date_account(meet(seen, 5000, "zoe", NOW - 8 * DAY), 5000, "zoe", None) == NOW


def test_who_is_in_a_networks_directory_is_known_from_the_first_visit_on() -> None:
    """Nobody lists all of them. The second visit changes nothing."""
    seen = meet(look(None, NOW, ANA), 70_000, "zoe", NOW + DAY)
    assert date_account(seen, 70_000, "zoe", NOW - DAY) == NOW + DAY
    assert meet(seen, 70_000, "zoe", NOW + 2 * DAY) == seen
    later = look(seen, NOW + 3 * DAY, ANA)
    assert date_account(later, 70_000, "zoe", None) == NOW + DAY


def test_a_uid_of_a_networks_directory_that_changed_hands_is_forgotten() -> None:
    """The directory says whose it is."""
    seen = meet(look(None, NOW, ANA), 70_000, "zoe", NOW + DAY)
    same = look_again(seen, [ANA], lambda _: "zoe", NOW + 2 * DAY)
    assert date_account(same, 70_000, "zoe", None) == NOW + DAY
    later = look_again(seen, [ANA], lambda _: "yan", NOW + 2 * DAY)
    assert date_account(later, 70_000, "zoe", None) is None
    assert date_account(meet(later, 70_000, "yan", NOW + 3 * DAY), 70_000, "yan", None) == (
        NOW + 3 * DAY
    )


def test_who_comes_with_another_ones_uid_takes_its_place() -> None:
    """Before the next look."""
    seen = meet(look(None, NOW, ANA), 1000, "eve", NOW + DAY)
    assert date_account(seen, 1000, "eve", NOW - DAY) == NOW + DAY
    assert date_account(seen, *ANA, NOW - DAY) is None


def test_the_ordinary_accounts_of_etc_passwd_are_read() -> None:
    """Neither the system's own, nor nobody, nor what is no account."""
    text = """\
root:x:0:0:root:/root:/bin/bash
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
ana:x:1000:1000:Ana,,,:/home/ana:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
:x:1003:1003::/:/bin/sh
odd:x:-1:0::/:/bin/sh
+::::::
half:x:1004
bob:x:1001:1001::/home/bob:/bin/bash
"""
    assert parse_passwd(text) == {ANA, BOB}
    assert not is_ordinary(999)
    assert not is_ordinary(65534)
