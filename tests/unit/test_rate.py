"""How fast a backup's data may go out: what is configured, what applies, and when to wait."""

import pytest

from asyncamanda.config.client import parse_client_config
from asyncamanda.core.conditions.rate import (
    BURST,
    RateAllowance,
    RateLimit,
    choose_rate,
    parse_rate,
    spend,
)
from asyncamanda.core.conditions.surroundings import LinkKind, Network, Surroundings
from asyncamanda.errors import ConfigurationError

HOTEL = Surroundings(networks=(Network("Hotel Adlon", LinkKind.WIFI),), is_metered=False)
PHONE = Surroundings(networks=(Network("Provider", LinkKind.WWAN),), is_metered=True)
HOME = Surroundings(networks=(Network("eth0", LinkKind.ETHERNET),))
LIMITS = (parse_rate("1 MB/s on metered, Hotel*"), parse_rate("5 MB/s on wifi"))


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("2 MB/s", RateLimit(2_000_000)),
        ("500kB/s", RateLimit(500_000)),
        ("1.5 MiB/s on metered", RateLimit(1_572_864, ("metered",))),
        ("2MB/s on metered, Hotel *,wifi", RateLimit(2_000_000, ("metered", "Hotel *", "wifi"))),
    ],
)
def test_a_limit_as_people_write_it(text: str, limit: RateLimit) -> None:
    """An amount a second, and where it applies."""
    assert parse_rate(text) == limit


@pytest.mark.parametrize("text", ["", "2 MB", "2/s", "fast", "1 kB/s", "2 MB/s on", "2 MB/s on a,"])
def test_what_is_no_limit(text: str) -> None:
    """Without a unit, too little for any backup to end, or without the networks it names."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("limits", "surroundings", "rate"),
    [
        (LIMITS, HOTEL, 1_000_000),
        (LIMITS, PHONE, 1_000_000),
        (LIMITS, HOME, None),
        (LIMITS[::-1], HOTEL, 5_000_000),
        ((*LIMITS, RateLimit(9_000_000)), HOME, 9_000_000),
        (LIMITS, Surroundings(), None),
        ((), HOTEL, None),
    ],
)
def test_the_first_limit_that_applies_counts(
    limits: tuple[RateLimit, ...], surroundings: Surroundings, rate: int | None
) -> None:
    """By name or kind of a network, or because its data costs money."""
    assert choose_rate(limits, surroundings) == rate


def test_what_goes_out_is_no_more_than_is_allowed() -> None:
    """Over any time, but for what may go out at once; nothing is saved up meanwhile."""
    rate, piece, now = 100_000, 16_384, 50.0
    allowance, sent = RateAllowance(0.0, 0.0), 0
    for _ in range(40):
        allowance, wait = spend(allowance, rate, piece, now)
        sent += piece
        now += wait
    spent = now - 50.0
    assert sent - piece <= rate * (spent + BURST)
    assert sent >= rate * spent
    _, wait = spend(allowance, rate, piece, now + 3600)
    assert wait == 0
    assert spend(RateAllowance(0.0, 9.0), rate, piece, 1.0)[1] <= piece / rate  # a clock set back


def test_the_key_in_client_toml() -> None:
    """One limit, or several; a mistake is named, and so is a mode where it would do nothing."""
    config = parse_client_config('server = "s"\nrate = "2 MB/s"\n', "client.toml")
    assert config.rate == (RateLimit(2_000_000),)
    text = 'server = "s"\nrate = ["2 MB/s on metered", "9 MB/s"]\n'
    assert len(parse_client_config(text, "client.toml").rate) == 2
    for wrong in ('"fast"', "2", '["2 MB/s", 3]', '"2 MB/s"\ncommand = "amdump daily"'):
        with pytest.raises(ConfigurationError, match="rate: "):
            parse_client_config(f'server = "s"\nrate = {wrong}\n', "client.toml")
