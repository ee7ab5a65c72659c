"""What backups leave out: patterns of client.toml and of setup, and the file they stand in."""

import tomllib

import pytest

from asyncamanda.client.setup.clienttoml import render_client_toml
from asyncamanda.client.setup.options import Said, read_options
from asyncamanda.config.client import parse_client_config
from asyncamanda.core.amanda.dump_form import DumpForm
from asyncamanda.core.amanda.excludes import (
    USUAL,
    check_pattern,
    compile_patterns,
    render_list,
)
from asyncamanda.errors import ConfigurationError, UsageError


@pytest.mark.parametrize("pattern", [*USUAL, "*.iso", "./ana/VMs", "a b", "Müll"])
def test_what_is_a_pattern(pattern: str) -> None:
    """As GNU tar has them: a name in any folder, or below the disk's own folder with ./."""
    check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["", " ", "a ", "/home/ana", "VMs/", "*", "./*", ".", "a\nb"])
def test_what_matches_nothing_or_everything(pattern: str) -> None:
    """It would be a surprise either way."""
    with pytest.raises(ValueError, match=r"\w"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("path", "is_out"),
    [
        (".cache", True),
        ("ana/.cache", True),
        ("ana/.cache/x/y", True),
        ("ana/.cached", False),
        ("ana/x.cache", False),
        ("ana/.var/app/a/b/cache", True),
        ("VMs", True),
        ("ana/VMs", False),
        ("ana/x.iso", True),
        ("x.isolated", False),
        ("a\nb.iso", True),
        (".Trash-1000", True),
        (".Trash-mine", False),
    ],
)
def test_which_names_are_like_a_pattern(path: str, is_out: bool) -> None:
    """As GNU tar compares them; tests/e2e/test_excludes.py has it leave them out."""
    assert compile_patterns([*USUAL, "./VMs", "*.iso"])(path.encode()) == is_out


def test_the_patterns_of_a_dump_are_read_from_its_header() -> None:
    """As amxml.c of Amanda 3.5.1 writes them: what is not plain beside a substitute."""
    extent = (
        "<exclude> <file>.cache</file> <file>.Trash-[0-9]*</file> "
        '<file encoding="raw" raw="TcO8bGw=">M__ll</file> '
        '<list encoding="raw" raw="L3Zhci9saWIveCB5">/var/lib/x_y</list> </exclude>',
        "<diskdevice>/home</diskdevice>",
    )
    assert DumpForm("tar", extent=extent).excludes == (".cache", ".Trash-[0-9]*", "Müll")
    assert DumpForm("tar").excludes == ()


def test_the_key_in_client_toml() -> None:
    """A list of them; each mistake is named."""
    config = parse_client_config('server = "s"\nexclude = ["*.iso", "VMs"]\n', "client.toml")
    assert config.exclude == ("*.iso", "VMs")
    assert render_list(config.exclude) == "*.iso\nVMs\n"
    for wrong in ('"*.iso"', "[1]", '["/home"]'):
        with pytest.raises(ConfigurationError, match="exclude: "):
            parse_client_config(f'server = "s"\nexclude = {wrong}\n', "client.toml")


def test_setup_writes_them() -> None:
    """As they were given, or a line that shows how."""
    options = read_options(Said("amanda", "laptop", exclude=("*.iso", 'a"b')), lambda _: True)
    assert tomllib.loads(render_client_toml(options))["exclude"] == ["*.iso", 'a"b']
    none = render_client_toml(read_options(Said("amanda", "laptop"), lambda _: True))
    assert "\n# exclude = " in none
    with pytest.raises(UsageError, match="--exclude: "):
        read_options(Said("amanda", "laptop", exclude=("/home",)), lambda _: True)
