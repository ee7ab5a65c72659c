"""The lines of `amcheck -c` that tell of trouble, and those of OpenSSH and the relay below it.

They are Amanda 3.5.1's; 3.5.4 says the same, or, where its amcheck dies of a client that is lost,
nothing but ssh's own words. tests/e2e/test_doctor.py breaks a client in each of these ways; the
comments name its tests: test_a_client_broken_in_many_ways_at_once is `in_one_go`,
test_a_client_broken_in_one_way_after_another `one_by_one`, test_trouble_at_the_server
`at_the_server` and test_trouble_on_the_way `on_the_way`. All are matched whole, without what
amcheck puts before each (`HOST client ERROR: `), and behind.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a line that matches means; `{name}` stands for a group of the pattern's.

    In `mend` the groups are quoted for a shell. An echo only repeats that there was trouble, and
    is dropped where another line tells what. An absence: the client is not there, no more.
    """

    pattern: str
    why: str
    mend: str = ""
    is_echo: bool = False
    is_absence: bool = False


_REINSTALL = "on {client}: apt install --reinstall amanda-common amanda-client"
_DUMPTYPE = "on the server: correct the dumptype in amanda.conf"
_START = "on {client}: asyncamanda run --force"

# the first that matches counts
MEANINGS = (
    # -- in_one_go: the disks
    Meaning(
        r"Could not access (?P<disk>.+) \((?P<place>.+)\): No such file or directory",
        "the disklist names {place}, and there is no such place on the client",
        "make it there, or correct the line in the disklist",
    ),
    Meaning(
        r"Could not access (?P<disk>.+) \((?P<place>.+)\): Permission denied",
        "the client's Amanda user cannot get to {place}: a folder above it is closed",
        "on {client}: open those folders (setfacl -m u:backup:x FOLDER), or on the server: use a "
        "dumptype with the application amgtar, which checks as root",
    ),
    Meaning(
        r"can not access '(?P<place>.+?)(?:/\.)?': Permission denied",
        "the client's Amanda user cannot get to {place}, and the dumptype's program does not run "
        "as root",
        f"{_REINSTALL} (amgtar belongs to root and is setuid); or use the application amgtar",
    ),
    Meaning(
        r"Can't open (?P<kind>exclude|include) file '(?P<file>.+)': .*",
        "the dumptype names this list, and the client cannot read it",
        "on {client}: make {file}; or take the {kind} list out of the dumptype",
    ),
    Meaning(
        r"Nothing found to include for disk '(?P<disk>.+)'",
        "the dumptype takes only what an include list names, and none of that is there",
        "correct the include list, or make what it names",
    ),
    # -- in_one_go: the client's programs
    Meaning(
        r"can not stat '(?P<program>(?:/usr(?:/local)?)?/s?bin/.+)': No such file or directory",
        "the dumptype needs this program, and the client does not have it",
        "install it on {client}, or use a dumptype with GNUTAR or amgtar",
    ),
    Meaning(
        r"Can't find real path for '(?P<program>.+)': No such file or directory",
        "the dumptype needs this program, and the client does not have it",
        "install it on {client}, or use a dumptype with GNUTAR or amgtar",
    ),
    Meaning(
        r"dump will not be able to create the (?P<file>.+) file: .*",
        'the dumptype\'s program "DUMP" keeps its dates there, and cannot',
        "use a dumptype with GNUTAR or amgtar: DUMP dumps whole file systems only",
    ),
    Meaning(
        r".*: Application '(?P<name>.+)': selfcheck: error \[exec (?P<program>.+?): .*",
        "the dumptype needs {program}, which the client's Amanda does not have, or may not start",
        "correct the plugin's name in amanda.conf; or install it on {client}",
    ),
    Meaning(
        r".*: Application '.+': (?:exited with status \d+|can't run 'support' command)",
        "the dumptype's application fails on the client",
        "on {client}: the newest files in /var/log/amanda/client say why",
        is_echo=True,
    ),
    Meaning(
        r"FORMAT ERROR IN REQUEST PACKET.*",
        "the client does not understand a dumptype",
        f"{_DUMPTYPE}: which program, and which application?",
    ),
    Meaning(
        r"(?P<program>/.+) is not (?:owned by|SUID) root",
        "this program reads every file as root, so it has to be root's and setuid",
        "on {client}: chown root:backup {program} && chmod 4754 {program}",
    ),
    # -- in_one_go and one_by_one: what Amanda keeps on the client
    Meaning(
        r"can not read/write '(?P<place>.+?)(?:/\.)?': .*",
        "Amanda keeps there what incremental dumps need, and may not write",
        "on {client}: chown backup:backup {place} && chmod 770 {place}",
    ),
    Meaning(
        r"can not stat '(?P<place>.*/gnutar-lists)': No such file or directory",
        "Amanda keeps there what incremental dumps need",
        "on {client}: install -d -o backup -g backup -m 770 {place}",
    ),
    Meaning(
        r"(?P<place>/.+) is not a directory",
        "Amanda keeps there what incremental dumps need, or logs, so it has to be a folder",
        "on {client}: move it away, then install -d -o backup -g backup -m 770 {place}",
    ),
    Meaning(
        r"can not stat '(?P<place>.+)': No such file or directory",
        "the client has no {place}: a disk of the disklist's, or a folder of Amanda's own",
        "make it there, or correct the line in the disklist",
    ),
    Meaning(
        r"can not execute '(?P<program>.+)': .*",
        "the client's Amanda user may not start this program",
        f"{_REINSTALL}, or chmod a+x {{program}}",
    ),
    Meaning(
        r"security file '(?P<file>.+)' do not allow to run '(?P<program>.+)' as root for "
        r"'(?P<key>.+)'",
        "only programs that root has named in that file are run as root",
        "on {client}, in {file}: {key}={program}",
    ),
    Meaning(
        r"Can't get realpath of the security file '(?P<file>.+)': .*",
        "without that file nothing is run as root, so nothing is dumped",
        "on {client}: apt install --reinstall -o Dpkg::Options::=--force-confmiss amanda-client",
    ),
    Meaning(
        r"file/dir '(?P<file>.+)' \(.+\) is (?:not owned by root|writable by .+)",
        "whoever may write there could run anything as root, so Amanda does not trust it",
        "on {client}: chown root:root {file} && chmod go-w {file}",
    ),
    # test_a_client_whose_disk_is_full
    Meaning(
        r"dir '(?P<place>.+)' needs (?P<need>.+), (?:has nothing|only has .+) available",
        "the client's disk is full, and Amanda cannot write its notes and logs",
        "on {client}: make room; df {place}",
    ),
    Meaning(
        r'service selfcheck: selfcheck: Cannot create debug file "(?P<folder>.+)/.+?": .*',
        "Amanda does nothing without its logs, and may not write them",
        "on {client}: chown -R backup:backup {folder}",
    ),
    Meaning(
        r"service selfcheck: selfcheck: critical \(fatal\): .*|"
        r"service /.*selfcheck failed: pid \d+ exited with code \d+",
        "the client's selfcheck broke down",
        "on {client}: the newest files in /var/log/amanda/client say why",
        is_echo=True,
    ),
    Meaning(
        r"execute access to '(?P<program>.+)' denied",
        "this program of Amanda's is missing on the client, or its user may not start it",
        _REINSTALL,
    ),
    Meaning(
        r"'(?P<file>/.*/amanda-client\.conf)', line (?P<line>\d+): .*",
        "the client's own Amanda configuration has a mistake, and so it does nothing",
        "on {client}: correct line {line} of {file}",
    ),
    # -- at_the_server; the first three also of amadmin's
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
        "on the server: amadmin CONFIG disklist says where",
        is_echo=True,
    ),
    Meaning(
        r"Argument '.+' matches neither a host nor a disk\.",
        "the disklist has no disk of this client",
        "on the server: add a line to the disklist, such as {client} /home roaming",
    ),
    Meaning(
        r"All disks on host '.+' are ignored or have strategy \"skip\"\.",
        "each of the client's dumptypes is set to be left out",
        f'{_DUMPTYPE}: no ignore, and no strategy "skip"',
    ),
    Meaning(
        r"Could not find security driver '(?P<auth>.+)' for host .*",
        "there is no such auth, so Amanda never contacts the client",
        f'{_DUMPTYPE}: auth "ssh"',
    ),
    Meaning(
        r"Multiple DLE's for host .+ use different auth methods",
        "Amanda uses one auth for all disks of a client",
        'on the server: auth "ssh" in each of the dumptypes that the disklist has for {client}',
    ),
    Meaning(
        r"selfcheck request failed: resolve_hostname\(.+\): .*",
        "Amanda looked for the client's name in the network, as with every auth but ssh",
        f'{_DUMPTYPE}: auth "ssh"; or give a client that Amanda can reach by itself a name there',
    ),
    Meaning(
        r"selfcheck request failed: .*is not local",
        'auth "local" is for the server\'s own disks',
        f'{_DUMPTYPE}: auth "ssh"',
    ),
    # -- on_the_way
    # our own words: server/amanda/commands.py
    Meaning(
        r"amcheck took longer than .*",
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
        "on {client}: is amandad Amanda's own? " + _REINSTALL.partition(": ")[2],
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
        _REINSTALL,
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
        "on {client}: is amandad Amanda's own? " + _REINSTALL.partition(": ")[2],
    ),
    # test_direct_client_needs_no_relay
    Meaning(
        r"Host key verification failed\.",
        "the server's Amanda user does not know this client's host key",
        "as the Amanda user, once: ssh {client} true",
    ),
    # Amanda's own ssh, of a client that it reaches by itself
    Meaning(
        r"ssh: connect to host \S+ port \d+: Connection refused",
        "no sshd listens at the address that {client} has for the server",
        "on {client}: apt install openssh-server; or correct its address on the server",
    ),
    Meaning(
        r"ssh: connect to host \S+ port \d+: .*|Timeout, server \S+ not responding\.",
        "it is off or away",
        "try again when it is on; as the Amanda user here, this has to work: ssh {client} true",
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
