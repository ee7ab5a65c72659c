"""Hints name what the same person can type at the same machine."""

import pytest

from asyncamanda.commands.hints import adapt_hint, drop_force, name_options, naming, settle_paths
from asyncamanda.errors import BadDataError

SHOWS = "`asyncamanda list` shows what was; to go on: asyncamanda restore --resume --to /x"


def test_the_administrators_hints_are_the_servers_commands() -> None:
    """With the client, and the options without which they would mean something else."""
    assert adapt_hint(SHOWS, [], "laptop") == (
        "`asyncamanda server list laptop` shows what was; "
        "to go on: asyncamanda server restore laptop --resume --to /x"
    )
    options = name_options(config="/e/a b", amanda_config="weekly", disk=None)
    assert options == ["--config", "/e/a b", "--amanda-config", "weekly"]
    assert adapt_hint("as root: asyncamanda restore", options, "laptop") == (
        "as root: asyncamanda server restore --config '/e/a b' --amanda-config weekly laptop"
    )


def test_a_hint_has_the_configuration_that_was_named() -> None:
    """Else the line that goes on would ask another server; other hints stay as they are."""
    assert adapt_hint(SHOWS, [], "") == SHOWS
    assert "restore --config /c --resume" in adapt_hint(SHOWS, ["--config", "/c"])
    for hint in ("see `asyncamanda server restores`", "asyncamanda listen", "asyncamanda check"):
        assert adapt_hint(hint, ["--config", "/c"], "laptop") == hint


def test_root_types_what_was_typed() -> None:
    """So that it can be pasted, with the very paths."""
    hint = "else, as root: asyncamanda restore"
    assert adapt_hint(hint, [], typed=["list", "--at", "3 days ago", "a\nb"]) == (
        r"else, as root: asyncamanda list --at '3 days ago' $'a\x0ab'"
    )
    own = "as root: asyncamanda restore --raw /srv"
    assert adapt_hint(own, [], typed=["restore", "/srv"]) == own
    assert adapt_hint(SHOWS, [], typed=["list"]) == SHOWS


def test_root_types_paths_that_mean_the_same_in_roots_folder() -> None:
    """Arguments that name files, and options that do; not another option's value that looks so."""
    typed = ["restore", "--at", "today", "--to", "new", "--config=c", "today", "/a", "b/../c"]
    assert settle_paths(typed, ["today", "/a", "b/../c"], "/home/ana") == [
        *("restore", "--at", "today", "--to", "/home/ana/new", "--config=/home/ana/c"),
        *("/home/ana/today", "/a", "/home/ana/b/../c"),
    ]


def test_an_error_goes_on_with_its_new_hint() -> None:
    """As the same error."""
    with pytest.raises(BadDataError) as error, naming([], client="laptop"):
        raise BadDataError("nothing", "nothing is there", "asyncamanda list")
    assert error.value.hint == "asyncamanda server list laptop"


@pytest.mark.parametrize(
    ("hint", "left"),
    [
        (
            "the first start after that asks again; --force asks now",
            "the first start after that asks again",
        ),
        (
            "`asyncamanda check` shows each condition; --force backs up anyway",
            "`asyncamanda check` shows each condition",
        ),
        ("--force tries at once; set `disks` in client.toml", "set `disks` in client.toml"),
        ("is the server up?", "is the server up?"),
        ("--force tries at once", "--force tries at once"),
    ],
)
def test_who_has_forced_it_is_not_told_to_force_it(hint: str, left: str) -> None:
    """What is left says when it goes on."""
    assert drop_force(hint) == left
