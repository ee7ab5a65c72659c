"""Many clients are enrolled as each by itself would be, and the file is read once for all."""

from base64 import b64encode

import pytest

from asyncamanda.core.ssh.publickey import parse_public_key
from asyncamanda.errors import BadDataError, RefusedError
from asyncamanda.server.enrol.enrolled import Enrolled, parse_registry, plan_enroll, render_line
from asyncamanda.server.enrol.many import ManyAdditions, parse_clients, plan_enroll_many

BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
KEYS = [
    f"ssh-ed25519 {b64encode(BLOB + number.to_bytes(32, 'big')).decode()}" for number in range(5)
]


def entry(name: str, key: str, config: str = "daily") -> Enrolled:
    """A client with that key."""
    return Enrolled(name, config, parse_public_key(f"{key} {name}"))


ENTRIES = [entry(f"pc{number}", key) for number, key in enumerate(KEYS[:3])]
STRANGE = "# mine\nssh-rsa AAAAB3Nza someone"  # without an end


@pytest.mark.parametrize("before", ["", STRANGE, render_line(ENTRIES[1])])
def test_many_are_enrolled_as_one_by_one(before: str) -> None:
    """Whatever stands there already stays; who is enrolled so already is passed over."""
    after = before
    for one in ENTRIES:
        after = plan_enroll(after, one)
    assert plan_enroll_many(before, ENTRIES) == after
    assert plan_enroll_many(after, ENTRIES) == after
    assert {one.client for one in parse_registry(after)} == {"pc0", "pc1", "pc2"}


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (render_line(entry("other", KEYS[1])), "this key is other's already"),
        (f"ssh-ed25519 {KEYS[2].split()[1]} hand\n", "in line 1 of authorized_keys"),
        (render_line(entry("pc1", KEYS[4])), "with another key"),
        (render_line(entry("PC1", KEYS[4])), "takes pc1 for the same host"),
        (render_line(entry("pc1", KEYS[1], "weekly")), "weekly"),
        (render_line(ENTRIES[0]).replace("--amanda-config daily", "--amanda-config daily --direct"),
         "enrolled otherwise"),
    ],
)  # fmt: skip
def test_who_would_be_refused_alone_is_refused_among_many(before: str, says: str) -> None:
    """And then nobody is enrolled."""
    with pytest.raises(RefusedError, match=says):
        plan_enroll_many(before, ENTRIES)


def test_a_list_has_a_client_and_its_key_in_each_line() -> None:
    """With comments and empty lines."""
    text = f"# office\n\npc0 {KEYS[0]} root@pc0\n  pc1 {KEYS[1]}\r\n"
    assert [(name, key.key) for name, key in parse_clients(text)] == [
        (f"pc{number}", KEYS[number].split()[1]) for number in (0, 1)
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"pc0 {KEYS[0]}\npc1", "line 2"),
        (f"pc0 {KEYS[0]}\nPC0 {KEYS[1]}", "line 2 of the list: the client is in line 1"),
        (f"pc0 {KEYS[0]}\n\npc1 {KEYS[0]}", "line 3 of the list: the key is in line 1"),
        (f"../x {KEYS[0]}", "line 1"),
    ],
)
def test_a_line_that_is_none_is_named(text: str, says: str) -> None:
    """Of thousands it has to be found."""
    with pytest.raises(BadDataError, match=says):
        parse_clients(text)


def test_the_disks_of_all_are_one_addition() -> None:
    """Each with its client's name."""
    many = ManyAdditions({"pc0": ("/home", "/"), "pc1": ("/",)}, "roaming")
    assert many._plan("srv / x") == "srv / x\npc0 /home roaming\npc0 / roaming\npc1 / roaming\n"
    added = [("pc0", "/home"), ("pc0", "/"), ("pc1", "/")]
    assert many._expect([("srv", "/")]) == [("srv", "/"), *added]
