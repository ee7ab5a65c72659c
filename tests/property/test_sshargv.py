"""Destinations: any text is a safe one or refused."""

import re

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import texts

from asyncamanda.core.ssh.argv import (
    SshOptions,
    Target,
    parse_target,
    plan_master,
    plan_session,
)

pieces = st.sampled_from([*"@:[]-%. a1\n", "user", "host", "::1", "-oProxyCommand=x", "22", "é"])
near_targets = st.lists(pieces, max_size=10).map("".join)

users = st.from_regex(re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII), fullmatch=True)
hosts = st.from_regex(
    re.compile(r"[a-z0-9][a-z0-9.-]*", re.ASCII), fullmatch=True
) | st.ip_addresses(v=6).map(str)
passwords = texts.filter(bool)


@given(st.one_of(texts, near_targets))
def test_any_text_is_a_destination_or_refused(text: str) -> None:
    """Neither user nor host can be taken for an option, and the argv ends as it must."""
    try:
        target = parse_target(text)
    except ValueError:
        return
    assert target.host
    assert not target.host.startswith("-")
    assert target.user is None or (target.user and not target.user.startswith("-"))
    assert target.port is None or 1 <= target.port <= 65535
    assert not re.search(r"[\s;|&$`'\"<>(){}\\/@]", target.host, re.ASCII)
    assert plan_master(target, SshOptions(), "/run/s")[-2:] == ["--", target.host]
    assert plan_session(target, "/run/s", "true")[-3:] == ["--", target.host, "true"]


@given(users, passwords, hosts, st.none() | st.integers(1, 65535))
def test_every_part_is_found_again(user: str, password: str, host: str, port: int | None) -> None:
    """Whatever is in the password: at signs, colons, brackets, line ends."""
    end = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    expected = Target(host, user, port, password)
    assert parse_target(f"{user}:{password}@{end}") == expected
    assert parse_target(str(expected)) == Target(host, user, port)


@given(
    st.sampled_from(["", "-l", "a b", "user"]),
    st.text("abcxyz@:[]- ", max_size=10),
    st.sampled_from(["", "-x", "[x]", "ho st", "host:0", "host:none", "[::1", "a:b:c"]),
)
def test_no_refusal_shows_the_password(user: str, around: str, end: str) -> None:
    """However wrong the rest is."""
    password = f"{around}hunter2{around}"
    try:
        target = parse_target(f"{user}:{password}@{end}")
    except ValueError as error:
        said = str(error)
    else:
        said = f"{target} {target!r} {plan_master(target, SshOptions(), '/run/s')}"
    assert said
    assert "hunter2" not in said
