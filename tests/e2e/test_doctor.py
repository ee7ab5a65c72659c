"""The doctor, and the real amcheck behind it, on clients that are broken in every way."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.laptop import Run, wait_until
from tests.e2e.office import CONF, DISK, Office, open_office

from asyncamanda.core.amanda.amcheck import UNKNOWN, Trouble, interpret_amcheck
from asyncamanda.core.amanda.client_conf import ARGV, parse_client_conf
from lab.amanda import AMANDA_CONF

DISKLIST = "/etc/amanda/daily/disklist"
LISTS = "/var/lib/amanda/gnutar-lists"
LOGS = "/var/log/amanda"
PROGRAMS = "/usr/lib/amanda"
AMANDAD = "/srv/amandad"  # where the client's agent looks for it


@contextmanager
def lend_office(prefix: Path) -> Iterator[Office]:
    """Yield an office behind NAT, whose laptop has a disk; its requests wait for ten minutes."""
    with open_office(prefix, "laptop", nat=True) as office:
        office.fill()
        office.set_up({"batch_window": "10m"})
        office.configure_agent(office.client("laptop"), amandad=AMANDAD)
        office.client("laptop").run(["ln", "-s", f"{PROGRAMS}/amandad", AMANDAD])
        yield office


def connect(office: Office) -> "subprocess.Popen[str]":
    """Start the laptop's agent; return it when Amanda can call the laptop."""
    agent = office.start("laptop", "--force")
    wait_until("it can be called", lambda: office.reachable() == ["laptop"])
    return agent


def doctor(office: Office, *words: str) -> Run:
    """Run the doctor on the laptop; whatever it prints fits the terminal."""
    run = office.ask("server", "doctor", "laptop", *words, check=False)
    if "--json" not in words:
        assert max(map(len, run.stdout.splitlines()), default=0) <= 80, run.stdout
    return run


def verdicts(run: Run) -> dict[str, str]:
    """Return the verdict on each check, by its name."""
    rows = [line.split() for line in run.stdout.splitlines() if line[:1] not in {"", " "}]
    return {name: verdict for verdict, name, *_ in rows if not verdict.endswith(":")}


def amcheck(office: Office) -> tuple[Trouble, ...]:
    """Return what is wrong according to the real amcheck."""
    argv = ["amcheck", "-c", "daily", "=laptop"]
    run = office.server.run(argv, user="backup", check=False)
    return interpret_amcheck("laptop", run.returncode, run.stdout, run.stderr)


def explained(troubles: Sequence[Trouble]) -> set[str]:
    """Return what was said, if each of it is known."""
    assert [trouble.said for trouble in troubles if trouble.why == UNKNOWN] == []
    return {trouble.said for trouble in troubles}


def define(office: Office, **dumptypes: str) -> None:
    """Give amanda.conf these dumptypes, and `nono` and `star` as applications."""
    text = AMANDA_CONF
    for name, plugin in (("nono", "nono"), ("star", "amstar")):
        text += f'define application {name} {{\n plugin "{plugin}"\n}}\n'
    for name, lines in dumptypes.items():
        text += f"define dumptype {name} {{\nroaming\n{lines}\n}}\n"
    office.server.write(CONF, text, owner="backup")


def list_disks(office: Office, *lines: str) -> None:
    """Let the disklist be this."""
    office.server.write(DISKLIST, "".join(f"{line}\n" for line in lines), owner="backup")


# -- the checks


def test_client_that_is_away_is_waited_for_and_then_all_is_well(lab_prefix: Path) -> None:
    """75 as long as nothing is wrong but that; --wait sees it come, and asks its Amanda."""
    with lend_office(lab_prefix) as office:
        away = doctor(office)
        assert (away.returncode, away.stderr) == (75, "")
        assert verdicts(away) == {
            "enrolled": "ok",
            "sshd": "ok",
            "alias": "ok",
            "disklist": "ok",
            "connected": "away",
            "capacity": "ok",
            "amcheck": "-",
        }
        assert "asyncamanda run --force" in away.stdout
        assert away.stdout.endswith("laptop: nothing is wrong so far, but it is not connected\n")
        brief = doctor(office, "--wait", "1s", "--json")
        assert (brief.returncode, brief.stderr[:16]) == (75, "waiting up to 1s")
        assert json.loads(brief.stdout)["amcheck"] is None

        argv = ["/usr/local/bin/asyncamanda", "server", "doctor", "laptop", "--wait", "1m"]
        waiting = office.server.start(argv)
        assert waiting.stderr
        assert "waiting up to 1m for laptop" in waiting.stderr.readline()
        connect(office)
        told, _ = waiting.communicate(timeout=30)
        assert waiting.returncode == 0, told
        assert told.endswith("laptop: all well\n")

        value = json.loads(doctor(office, "--json").stdout)
        assert (value["client"], value["amanda_config"]) == ("laptop", "daily")
        assert [check["ok"] for check in value["checks"]] == [True] * 7
        assert value["amcheck"]["exit_status"] == 0
        assert value["amcheck"]["troubles"] == []
        assert any("0 problems found" in line for line in value["amcheck"]["lines"])


def test_alias_is_judged_by_ssh_and_setup_mends_it(lab_prefix: Path) -> None:
    """A file that is gone, one that is not included, one that ssh refuses; a stranger is none."""
    with lend_office(lab_prefix) as office:
        folder = f"{office.server.account('backup').home}/.ssh"
        for damage, words in (
            (["rm", f"{folder}/asyncamanda.conf"], "asyncamanda.conf is missing"),
            (["sed", "-i", "/StdinNull/d", f"{folder}/asyncamanda.conf"], "not what the enrolled"),
            (["rm", f"{folder}/config"], "does not begin with `Include asyncamanda.conf`"),
        ):
            office.server.run(damage)
            bad = doctor(office, "--wait", "10m")  # in vain
            assert (bad.returncode, bad.stderr) == (78, "")
            assert verdicts(bad)["alias"] == "bad"
            assert words in " ".join(bad.stdout.split())
            assert "as root: asyncamanda server setup --yes" in bad.stdout
            office.ask("server", "setup", "--yes")
            assert verdicts(doctor(office))["alias"] == "ok"
        office.server.run(["chmod", "666", f"{folder}/config"])
        assert "Bad owner or permissions" in doctor(office).stdout
        office.server.run(["chmod", "600", f"{folder}/config"])
        office.server.write("/etc/ssh/ssh_config.d/odd.conf", "Host laptop\n ControlPath /odd\n")
        assert verdicts(doctor(office))["alias"] == "ok"  # ours comes first

        stranger = office.ask("server", "doctor", "labtop", check=False)
        assert stranger.returncode == 65
        assert "did you mean laptop?" in stranger.stderr


def test_each_dle_with_another_auth_is_named(lab_prefix: Path) -> None:
    """Amanda would call for it by itself; its name is as the disklist has it."""
    with lend_office(lab_prefix) as office:
        define(office, other='auth "bsdtcp"')
        list_disks(office, f"laptop {DISK} roaming", 'laptop "/srv/d \\"3" other', "tower /a other")
        bad = doctor(office)
        assert (bad.returncode, verdicts(bad)["disklist"]) == (78, "bad")
        assert '/srv/d "3 (auth bsdtcp)' in bad.stdout
        assert DISK not in bad.stdout
        list_disks(office, "laptop.example.com /a roaming")
        bad = doctor(office)
        assert (bad.returncode, verdicts(bad)["amcheck"]) == (78, "-")
        assert "it has no disk of laptop" in bad.stdout
        office.server.append(CONF, "oops\n", owner="backup")
        bad = doctor(office)
        assert (bad.returncode, verdicts(bad)["disklist"]) == (78, "bad")
        assert f"of {CONF}" in bad.stdout
        assert UNKNOWN not in bad.stdout


def test_direct_client_needs_no_relay(lab_prefix: Path) -> None:
    """Amanda's own ssh has to get there; what stops it is explained."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill()
        office.set_up()
        key = office.client("laptop").backup_key
        words = ("--amanda-config", "daily", "--key", key, "--direct")
        office.ask("server", "enroll", "laptop", *words)
        well = doctor(office)
        assert well.returncode == 0, well.stdout
        assert [verdicts(well)[name] for name in ("alias", "connected", "amcheck")] == [
            "-",
            "-",
            "ok",
        ]
        office.client("laptop").cut()
        ssh = f"{office.server.account('backup').home}/.ssh"
        office.server.write(f"{ssh}/config", "ConnectTimeout 2\n", owner="backup")
        away = doctor(office)
        assert (away.returncode, "it is off or away" in away.stdout) == (75, True), away.stdout
        office.client("laptop").heal()
        office.client("laptop").stop_sshd()
        refused = doctor(office)
        assert (refused.returncode, "no sshd listens" in refused.stdout) == (78, True)
        office.client("laptop").start_sshd()
        office.server.remove(f"{office.server.account('backup').home}/.ssh/known_hosts")
        assert "Host key verification failed." in explained(amcheck(office))


# -- amcheck's lines


def test_a_client_broken_in_many_ways_at_once(lab_prefix: Path) -> None:
    """Each trouble is shown with its explanation."""
    with lend_office(lab_prefix) as office:
        laptop = office.client("laptop")
        laptop.add_tree("/srv/closed/in")
        define(
            office,
            listed='exclude list "/nowhere/x"\ninclude list "/nowhere/i"',
            dump='program "DUMP"',
            nono='program "APPLICATION"\napplication "nono"',
            star='program "APPLICATION"\napplication "star"',
        )
        list_disks(
            office,
            "laptop /srv/gone roaming",
            "laptop /srv/closed/in roaming",
            "laptop /srv/closed roaming-amgtar",
            *(f"laptop {DISK}-{name} {DISK} {name}" for name in ("listed", "dump", "nono", "star")),
        )
        for program in ("runtar", "application/amgtar"):  # no longer root's, with its powers
            copy = f"/srv/{program.rpartition('/')[2]}"
            laptop.run(["cp", f"{PROGRAMS}/{program}", copy])
            laptop.run(["chmod", "755", copy])
            laptop.run(["mount", "--bind", copy, f"{PROGRAMS}/{program}"])
        laptop.run(["chmod", "700", "/srv/closed"])
        laptop.run(["chown", "root:root", LISTS])
        laptop.run(["chmod", "755", LISTS])
        connect(office)
        value = json.loads(doctor(office, "--json").stdout)
        troubles = tuple(Trouble(**trouble) for trouble in value["amcheck"]["troubles"])
        assert explained(troubles) == {
            "Could not access /srv/gone (/srv/gone): No such file or directory",
            "Could not access /srv/closed/in (/srv/closed/in): Permission denied",
            "can not access '/srv/closed/.': Permission denied",
            "Can't open exclude file '/nowhere/x': No such file or directory",
            "Can't open include file '/nowhere/i': No such file or directory",
            f"Nothing found to include for disk '{DISK}-listed'",
            "can not stat '/sbin/dump': No such file or directory",
            "can not stat '/sbin/restore': No such file or directory",
            "dump will not be able to create the /var/lib/dumpdates file: Permission denied",
            f"{DISK}: Application 'nono': selfcheck: error [exec {PROGRAMS}/application/nono: "
            "No such file or directory]",
            "Can't find real path for '/usr/bin/star': No such file or directory",
            "can not stat '/etc/tardumps': No such file or directory",
            f"can not read/write '{LISTS}/.': Permission denied",
            f"{PROGRAMS}/runtar is not SUID root",
        }
        bad = doctor(office)
        assert bad.returncode == 78
        assert f"laptop: {len(troubles)} problems to fix" in bad.stdout


def test_a_client_broken_in_one_way_after_another(lab_prefix: Path) -> None:
    """What Amanda keeps on a client, and what it needs there; undone, all is well again."""
    security = "/etc/amanda-security.conf"
    tools = f"cp {PROGRAMS}/selfcheck /bin/tar /srv; chmod 644 /srv/selfcheck /srv/tar; "
    realpath = f"Can't get realpath of the security file '{security}': No such file or directory"
    cases = {
        f"mv {LISTS} {LISTS}.x": f"can not stat '{LISTS}': No such file or directory",
        f"touch {LISTS}": f"{LISTS} is not a directory",
        f"rm {LISTS}; mv {LISTS}.x {LISTS}": "",
        f"cp {security} /srv; sed -i s,=/.*,=/opt/tar, {security}": f"security file '{security}' "
        "do not allow to run '/usr/bin/tar' as root for 'runtar:gnutar_path'",
        f"rm {security}": realpath,
        f"cp /srv/amanda-security.conf /etc; chmod 666 {security}": f"file/dir '{security}' "
        f"({security}) is writable by everyone",
        f"chmod 644 {security}; {tools} mount --bind /srv/tar /usr/bin/tar": "can not execute "
        "'GNUTAR': Permission denied",  # the path that Amanda was built with
        f"umount /usr/bin/tar; mount --bind /srv/selfcheck {PROGRAMS}/selfcheck": "execute access "
        f"to '{PROGRAMS}/selfcheck' denied",
        f"umount {PROGRAMS}/selfcheck; echo nonsense >/etc/amanda/amanda-client.conf": "'/etc/"
        "amanda/amanda-client.conf', line 1: error: not a keyword.",
        "rm /etc/amanda/amanda-client.conf": "",
    }
    with lend_office(lab_prefix) as office:
        laptop = office.client("laptop")
        connect(office)
        gnutar = parse_client_conf(laptop.run(ARGV).stdout)["GNUTAR"]
        for damage, words in cases.items():
            laptop.run(["sh", "-c", damage])
            expected = {words.replace("GNUTAR", gnutar)} if words else set()
            assert explained(amcheck(office)) == expected, damage
        laptop.run(["sh", "-c", f"chown root {LOGS}/client; chmod 755 {LOGS}/client"])
        (said,) = explained(amcheck(office))
        assert said.startswith("service selfcheck: selfcheck: Cannot create debug file")
        laptop.run(["chown", "backup", f"{LOGS}/client"])
        define(office, star='program "STAR"')
        list_disks(office, f"laptop {DISK} star")
        (said,) = explained(amcheck(office))
        assert said.startswith("FORMAT ERROR IN REQUEST PACKET")


def test_a_client_whose_disk_is_full(lab_prefix: Path) -> None:
    """Amanda names each of its folders that has no room."""
    with lend_office(lab_prefix) as office:
        connect(office)
        assert amcheck(office) == ()
        office.client("laptop").fill_disk()
        said = explained(amcheck(office))
        assert f"dir '{LOGS}' needs 64 KB, has nothing available" in said


def test_trouble_at_the_server(lab_prefix: Path) -> None:
    """Amanda never calls the client then, and may exit with 0."""
    with lend_office(lab_prefix) as office:
        server = office.server
        define(
            office,
            skip="strategy skip",
            foo='auth "foo"',
            local='auth "local"',
            bsdtcp='auth "bsdtcp"',
            nothing='include "./nowhere"',
        )
        dle = f"laptop {DISK}"
        list_disks(office, f"{dle} skip")
        assert explained(amcheck(office)) == {
            "All disks on host '=laptop' are ignored or have strategy \"skip\"."
        }
        list_disks(office, f"{dle} foo")
        (said,) = explained(amcheck(office))
        assert said.startswith("Could not find security driver 'foo'")
        list_disks(office, f"{dle} local")
        assert explained(amcheck(office)) == {"selfcheck request failed: laptop: is not local"}
        list_disks(office, f"{dle} bsdtcp")
        unresolved = "selfcheck request failed: resolve_hostname(laptop): Name or service not known"
        assert explained(amcheck(office)) == {unresolved}
        list_disks(office, f"{dle} bsdtcp", "laptop /srv roaming")
        several = "Multiple DLE's for host 'laptop' use different auth methods"
        assert several in explained(amcheck(office))
        list_disks(office)
        assert explained(amcheck(office)) == {
            "Argument '=laptop' matches neither a host nor a disk."
        }
        list_disks(office, f"{dle} nothing")
        connect(office)
        assert explained(amcheck(office)) == {f"Nothing found to include for disk '{DISK}'"}
        server.append(CONF, "oops\n", owner="backup")
        (said,) = explained(amcheck(office))
        assert said.endswith("error: not a keyword.")
        list_disks(office, f"{dle} roaming")
        server.write(CONF, AMANDA_CONF.replace('"backup"', '"root"'), owner="backup")
        wanted = "must be executed as the 'root' user instead of the 'backup' user"
        assert explained(amcheck(office)) == {wanted}
        told = " ".join(doctor(office).stdout.split())
        assert wanted.replace("'", '"') in told
        assert UNKNOWN not in told


def test_trouble_on_the_way(lab_prefix: Path) -> None:
    """No client, no amandad, one that may not be started, breaks down, or says nothing."""
    with lend_office(lab_prefix) as office:
        laptop = office.client("laptop")
        (trouble,) = amcheck(office)
        words = "asyncamanda: laptop is not connected, or refused the request"
        assert (trouble.said, trouble.is_absence) == (words, True)
        connect(office)
        laptop.run(["rm", AMANDAD])
        assert explained(amcheck(office)) == {
            f"asyncamanda: there is no {AMANDAD} here: is amanda-client installed?"
        }
        laptop.write(AMANDAD, "#!/bin/sh\n")
        (said,) = explained(amcheck(office))
        assert f"{AMANDAD}: Permission denied" in said
        laptop.run(["chmod", "755", AMANDAD])
        assert explained(amcheck(office)) == {"asyncamanda: amandad ended with status 0"}
        laptop.run(["ln", "-sf", f"{PROGRAMS}/amandad", AMANDAD])
        assert amcheck(office) == ()
        laptop.run(["sh", "-c", f"chown -R root {LOGS}; chmod 755 {LOGS}"])
        (trouble,) = amcheck(office)
        assert "chown -R backup:backup /var/log/amanda" in trouble.fix
