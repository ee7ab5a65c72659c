"""The lines of `amcheck -c` about trouble with a client; amcheck_server_lines.py has the rest.

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

    `{client}` is the client, `{user}` the server's Amanda user. In `fix` the groups are quoted for
    a shell. An echo only repeats that there was trouble, and is dropped where another line says
    what. An absence: the client is just not there.
    """

    pattern: str
    why: str
    fix: str = ""
    is_echo: bool = False
    is_absence: bool = False


REINSTALL = "on {client}: apt install --reinstall amanda-common amanda-client"
DUMPTYPE = "on the server: correct the dumptype in amanda.conf"

# the first that matches counts
CLIENT_LINES = (
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
        f"{REINSTALL} (amgtar belongs to root and is setuid); or use the application amgtar",
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
        f"{DUMPTYPE}: which program, and which application?",
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
        f"{REINSTALL}, or chmod a+x {{program}}",
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
        REINSTALL,
    ),
    Meaning(
        r"'(?P<file>/.*/amanda-client\.conf)', line (?P<line>\d+): .*",
        "the client's own Amanda configuration has a mistake, and so it does nothing",
        "on {client}: correct line {line} of {file}",
    ),
)
