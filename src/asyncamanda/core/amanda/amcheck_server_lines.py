"""The lines of `amcheck -c` about trouble at the server and on the way to the client.

Those of OpenSSH and of the relay below it are among them. See amcheck_lines.py, whose lines come
before these; the comments name the tests that it lists.
"""

from asyncamanda.core.amanda.amcheck_lines import DUMPTYPE, REINSTALL, Meaning
from asyncamanda.core.values.shellwords import as_user

_START = "on {client}: asyncamanda run --force"

# the first that matches counts
SERVER_LINES = (
    # -- at_the_server; the first four also of amadmin's
    Meaning(
        r"""["'](?P<file>/.+)["'], line (?P<line>\d+): warning: .*""",
        "Amanda goes on with this; a newer one may not",
        "on the server: correct line {line} of {file}",
        is_echo=True,
    ),
    Meaning(
        r"""["'](?P<file>/.+)["'], line (?P<line>\d+): .*""",
        "the server's Amanda configuration has a mistake, and so nothing is backed up at all",
        "on the server: correct line {line} of {file}",
    ),
    Meaning(
        r"""must be executed as the ['"](?P<wanted>.+)['"] user instead of .*""",
        "the dumpuser of amanda.conf is not the user that asyncamanda takes for Amanda's",
        "on the server: let dumpuser in amanda.conf and user in /etc/asyncamanda/server.toml agree",
    ),
    Meaning(
        r"errors processing config file",
        "the server's Amanda configuration has a mistake",
        "to see where, on the server, " + as_user("backup", "amadmin CONFIG disklist"),
        is_echo=True,
    ),
    Meaning(
        r"Argument '.+' matches neither a host nor a disk\.",
        "the disklist has no disk of this client",
        "on the server: asyncamanda server disk add {client} /home",
    ),
    Meaning(
        r"All disks on host '.+' are ignored or have strategy \"skip\"\.",
        "each of the client's dumptypes is set to be left out",
        f'{DUMPTYPE}: no ignore, and no strategy "skip"',
    ),
    Meaning(
        r"Could not find security driver '(?P<auth>.+)' for host .*",
        "there is no such auth, so Amanda never contacts the client",
        f'{DUMPTYPE}: auth "ssh"',
    ),
    Meaning(
        r"Multiple DLE's for host .+ use different auth methods",
        "Amanda uses one auth for all disks of a client",
        'on the server: auth "ssh" in each of the dumptypes that the disklist has for {client}',
    ),
    Meaning(
        r"selfcheck request failed: resolve_hostname\(.+\): .*",
        "Amanda looked for the client's name in the network, as with every auth but ssh",
        f'{DUMPTYPE}: auth "ssh"; or give a client that Amanda can reach by itself a name there',
    ),
    Meaning(
        r"selfcheck request failed: .*is not local",
        'auth "local" is for the server\'s own disks',
        f'{DUMPTYPE}: auth "ssh"',
    ),
    # -- on_the_way asyncamanda's own message: server/amanda/commands.py
    Meaning(
        r"amcheck did not end within .*",
        "the client is connected, and does not answer",
        "try again; on {client}: is it asleep, or its network very slow?",
        is_absence=True,
    ),
    Meaning(
        r"asyncamanda: (?:\S+ (?:is not connected.*|has left|does not open a stream|vanished: .*)"
        r"|the dispatcher is gone, .*|asyncamanda's dispatcher ends)",
        "the client's agent is not connected (any more), or its connection has just broken",
        _START,
        is_absence=True,
    ),
    Meaning(
        r"asyncamanda: \S+ is not enrolled any more",
        "its key was revoked, or replaced, while Amanda asked it",
        "asyncamanda server clients",
    ),
    Meaning(
        r"asyncamanda: \S+: what it sent is not Amanda's: .*",
        "the client is connected, and something else than Amanda's amandad answers",
        "on {client}: is amandad Amanda's own? " + REINSTALL.partition(": ")[2],
    ),
    Meaning(
        r"asyncamanda: there is no (?P<places>/.+) here: is amanda-client installed\?",
        "the client is connected, and has no Amanda client",
        "on {client}: apt install amanda-client; or name its amandad in client.toml: "
        'amandad = "/..."',
    ),
    Meaning(
        r"asyncamanda: .*(?:failed to execute (?P<program>/\S+)|(?P<path>/\S+) cannot be started)"
        r": .*",
        "the client is connected, and cannot start its amandad",
        REINSTALL,
    ),
    Meaning(
        r'asyncamanda: amandad: .*Cannot create debug file "(?P<place>/var/log/amanda|/[^/"]+).+',
        "the client is connected, and its amandad may not write its logs, without which it does "
        "nothing",
        "on {client}: chown -R backup:backup {place}",
    ),
    Meaning(
        r"asyncamanda: amandad ended with status \d+",
        "the client is connected, and its amandad ended without output",
        "on {client}: is amandad Amanda's own? " + REINSTALL.partition(": ")[2],
    ),
    # test_direct_client_needs_no_relay
    Meaning(
        r"Host key verification failed\.",
        "the server's Amanda user does not know this client's host key",
        "once, on the server, " + as_user("{user}", "ssh {client} true"),
    ),
    # of Amanda's own ssh, to a client that it reaches without the relay
    Meaning(
        r"ssh: connect to host \S+ port \d+: Connection refused",
        "no sshd listens at the address that {client} has for the server",
        "on {client}: apt install openssh-server; or correct its address on the server",
    ),
    Meaning(
        r"ssh: connect to host \S+ port \d+: .*|Timeout, server \S+ not responding\.",
        "it is off or away",
        "try again when it is on; this has to work on the server, "
        + as_user("{user}", "ssh {client} true"),
        is_absence=True,
    ),
    Meaning(
        r"ssh: Could not resolve hostname \S+: .*",
        "the server knows no address of {client}; if its name exists only while it is on, it is "
        "off or away",
        "on the server: give {client} an address in /etc/hosts or DNS, or a HostName in the Amanda "
        "user's ~/.ssh/config",
    ),
    Meaning(
        r"\S+: Permission denied \(.*\)\.",
        "the client does not let the server's Amanda user in",
        "on {client}: add that user's public key to the Amanda user's ~/.ssh/authorized_keys, and "
        "give it a shell",
    ),
    # -- on_the_way
    Meaning(
        r"selfcheck request failed: .*",
        "Amanda's request ended before the client's Amanda answered",
        "try again; the client's newest files in /var/log/amanda/client may say why",
        is_echo=True,
    ),
    Meaning(
        r"kex_exchange_identification: .*|banner exchange: .*|Connection (?:closed|reset) by .*|"
        r"Connection to \S+ closed by remote host\.|client_loop: send disconnect: .*",
        "ssh got no answer",
        _START,
        is_echo=True,
    ),
)
