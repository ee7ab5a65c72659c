"""The Amanda user's ssh_config: an alias for each client, and the line that includes them."""

import pytest

from asyncamanda.server.enrol.ssh_aliases import is_included, plan_include, render_aliases

HEAD = """\
# Clients that Amanda reaches back through their own connections.
# Written by `asyncamanda server enroll`, `revoke` and `setup`: changes here are lost.
"""


def test_each_client_has_an_alias() -> None:
    """Its calls go to its own socket, and nowhere else if nobody listens there."""
    text = render_aliases(["laptop", "tablet.example.org"])
    assert text.startswith(f"{HEAD}\nHost laptop\n")
    first, second = text.removeprefix(HEAD).strip().split("\n\n")
    assert first.splitlines()[:4] == [
        "Host laptop",
        "    ControlMaster no",
        "    ControlPath /var/lib/asyncamanda/server/run/relay/laptop",
        '    ProxyCommand sh -c "echo asyncamanda: %n is not connected, '
        'or refused the request >&2"',
    ]
    assert "    ClearAllForwardings yes" in first.splitlines()
    assert second == first.replace("laptop", "tablet.example.org")


def test_nobody_is_an_empty_file() -> None:
    """With its head alone."""
    assert render_aliases([]) == HEAD


def test_a_long_name_has_a_short_path() -> None:
    """A socket's path has 107 characters at most; and no two names share one."""
    names = ["x" * 253, "x" * 252 + "y", "x" * 60, "x" * 61]
    lines = render_aliases(names).splitlines()
    paths = [line.split()[1] for line in lines if "ControlPath" in line]
    assert len(set(paths)) == len(names)
    assert max(map(len, paths)) <= 107
    assert [line.split()[1] for line in lines if line.startswith("Host")] == names


@pytest.mark.parametrize(
    "text",
    [
        "Include asyncamanda.conf",
        "Include asyncamanda.conf\n",
        "# mine\n\n  # mine\n\tInclude\tasyncamanda.conf  \r\nHost *\n",
        "include asyncamanda.conf\nHost laptop\n",
        'INCLUDE "asyncamanda.conf"\n',
        "Include ~/.ssh/asyncamanda.conf\n",
    ],
)
def test_an_include_that_stands_first_counts(text: str) -> None:
    """However it is written, and after comments; then the file stays as it is."""
    assert is_included(text)
    assert plan_include(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "Host *\n    Include asyncamanda.conf\n",
        "Match all\nInclude asyncamanda.conf\n",
        "ServerAliveInterval 5\nInclude asyncamanda.conf\n",
        "Include other.conf\nInclude asyncamanda.conf\n",
        "Include other.conf asyncamanda.conf\n",
        "# Include asyncamanda.conf\n",
        "#Include asyncamanda.conf",
        "# a\x0cInclude asyncamanda.conf\n",
        "# a\u2028Include asyncamanda.conf\n",
        "# a\rInclude asyncamanda.conf\n",
        "Include asyncamandaxconf\n",
        "Include asyncamanda.config\n",
        "Include /etc/ssh/asyncamanda.conf\n",
        "Includeasyncamanda.conf\n",
        "Host a\n  User x\n# \udce9\n",
    ],
)
def test_any_other_text_gets_an_include_at_its_top(text: str) -> None:
    """All else stays as it is below; and once is enough."""
    planned = plan_include(text)
    assert not is_included(text)
    assert planned.endswith(f"\nInclude asyncamanda.conf\n\n{text}")
    assert is_included(planned)
    assert plan_include(planned) == planned
