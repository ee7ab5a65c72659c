"""The main job on a real Amanda: from overdue to backed up, and then left alone."""

import time
from datetime import timedelta

import pytest
from tests.e2e.laptop import (
    ASYNCAMANDA,
    COMMAND,
    DISKS,
    ask,
    ask_json,
    configure,
    furnish,
    outcomes,
    wait_until,
)

from lab import PASSWORD, Lab


def test_overdue_client_is_backed_up_and_then_left_alone(lab: Lab) -> None:
    """Never backed up: due. One amdump later the server has both DLEs, whole. Not due: no call."""
    furnish(lab)
    check = ask(lab.client, "check")
    assert (check.returncode, check.stdout.splitlines()[0]) == (
        0,
        "due: never backed up: amandates lists no disk",
    )

    run = ask(lab.client, "run")

    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("backed up in ")
    assert lab.server.amdump_count == 1
    for disk in DISKS:
        assert [dump.level for dump in lab.server.stored("laptop", disk)] == [0]
        assert lab.server.restore("laptop", disk) == lab.client.tree(disk)

    connections = lab.server.connections
    again = ask(lab.client, "run")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert lab.server.connections == connections
    assert not ask_json(lab.client, "check")["due"]

    lab.client.clock_offset = timedelta(hours=25)
    assert ask_json(lab.client, "check")["due"]
    later = ask(lab.client, "run")
    assert later.returncode == 0, later.stderr
    assert lab.server.amdump_count == 2


def test_daily_backup_does_not_drift(lab: Lab) -> None:
    """A start 23 h 20 min after the last dump's start backs up; one after 23 h does not."""
    furnish(lab)
    assert ask(lab.client, "run").returncode == 0
    lab.client.clock_offset = timedelta(hours=23)
    assert not ask_json(lab.client, "check")["due"]
    lab.client.clock_offset = timedelta(hours=23, minutes=20)
    assert ask_json(lab.client, "check")["due"]


def test_start_by_root_works_as_the_amanda_user(lab: Lab) -> None:
    """What root's timer starts is backup's before it connects: its ssh, its memory, its files."""
    furnish(lab)
    agent = lab.client.start([ASYNCAMANDA, "run"])
    wait_until("ssh runs", lambda: ["ssh", "-M"] in [words[:2] for words in lab.client.processes()])
    owners = lab.client.run(["ps", "-eo", "user:20,comm"]).stdout.splitlines()
    assert {line.split()[0] for line in owners if line.endswith(" ssh")} == {"backup"}
    agent.communicate(timeout=60)
    assert agent.returncode == 0
    memory = lab.client.run(["stat", "-c", "%U", "/var/lib/asyncamanda/client/memory.json"])
    assert memory.stdout == "backup\n"
    assert ask(lab.client, "check", user="nobody").returncode == 77  # amandates is not for all


@pytest.mark.parametrize("user", ["root", "backup"])
def test_classic_form_works_unchanged(lab: Lab, user: str) -> None:
    """README's line runs amdump when overdue, and makes no connection when not.

    It names this client, so another that is away does not matter.
    """
    furnish(lab)
    lab.server.add_dle("ghost", "/srv/docs")
    lab.client.run(["rm", "/etc/asyncamanda/client.toml"])
    lab.client.write("/etc/ssh/ssh_known_hosts", lab.server.known_hosts_line + "\n")
    line = (
        f"{ASYNCAMANDA} -i 24 -h backup@amanda -k /var/backups/.ssh/id_ed25519 "
        '-c "/usr/sbin/amdump daily --exact-match laptop" -a /var/lib/amanda/amandates'
    )
    first = lab.client.run(["sh", "-c", line], user=user, check=False)
    assert first.returncode == 0, first.stderr
    assert lab.server.amdump_count == 1
    connections = lab.server.connections
    second = lab.client.run(["sh", "-c", line], user=user)
    assert (second.stdout, second.stderr) == ("", "")
    assert lab.server.connections == connections


def test_classic_form_needs_one_fresh_disk_only(lab: Lab) -> None:
    """As in 2014 any disk's newest dump counts, so a disk that is never dumped goes unnoticed."""
    furnish(lab)
    assert ask(lab.client, "run").returncode == 0
    stale = int(time.time()) - 40 * 86400
    lab.client.append("/var/lib/amanda/amandates", f"/srv/old 0 {stale}\n", owner="backup")
    classic = ["-i", "24", "-h", "backup@amanda", "-c", COMMAND, "-a", "/var/lib/amanda/amandates"]
    assert ask(lab.client, *classic).returncode == 0
    assert lab.server.amdump_count == 1


def test_password_in_a_file_or_in_the_command_line_works(lab: Lab) -> None:
    """A password reaches sshd by either way; the command line's gets a warning."""
    furnish(lab, password_file="/etc/asyncamanda/password")
    lab.client.run(["rm", "/var/backups/.ssh/id_ed25519"])
    lab.client.write("/etc/asyncamanda/password", f"{PASSWORD}\n", owner="backup", mode=0o600)
    by_file = ask(lab.client, "run")
    assert by_file.returncode == 0, by_file.stderr
    classic = ["-i", "0.0001", "-h", f"backup:{PASSWORD}@amanda", "-c", COMMAND]
    by_line = ask(lab.client, *classic, "-a", "/var/lib/amanda/amandates", user="backup")
    assert by_line.returncode == 0, by_line.stderr
    assert "warning: every user of this machine can read the password" in by_line.stderr
    assert PASSWORD not in by_line.stderr + by_line.stdout
    kept = lab.client.run(["grep", "-rl", PASSWORD, "/var/lib/asyncamanda"], check=False)
    assert kept.stdout == ""


def test_two_starts_at_once_make_one_amdump(lab: Lab) -> None:
    """The second start ends at once with 75 and names the first one's pid, and since when."""
    furnish(lab)
    agents = [lab.client.start([ASYNCAMANDA, "run", "-v"]) for _ in range(2)]
    ends = [(agent, *agent.communicate(timeout=60)) for agent in agents]
    codes = sorted(agent.returncode for agent, _, _ in ends)
    assert codes == [0, 75], ends
    refused = next(stderr for agent, _, stderr in ends if agent.returncode == 75)
    assert "a backup is running already: pid " in refused
    assert " since 20" in refused
    assert lab.server.amdump_count == 1


def test_server_that_is_down_is_quiet_and_tried_again(lab: Lab) -> None:
    """No sshd, or no machine: 75 silently; the next start, with a server, backs up."""
    furnish(lab)
    lab.server.stop_sshd()
    refused = ask(lab.client, "run")
    assert (refused.returncode, refused.stdout, refused.stderr) == (75, "", "")
    lab.server.power_cut()
    gone = ask(lab.client, "run", "-v")
    assert gone.returncode == 75
    assert "amanda cannot be reached" in gone.stderr
    assert outcomes(lab.client) == ["unreachable"]
    lab.server.boot()
    assert ask(lab.client, "run").returncode == 0
    assert outcomes(lab.client) == ["unreachable", "backed up"]


def test_changed_host_key_is_loud_and_starts_nothing(lab: Lab) -> None:
    """A server with another host key gets nothing from the client: 77, and a clear word."""
    furnish(lab)
    lab.server.stop_sshd()
    key = "/etc/ssh/ssh_host_ed25519_key"
    lab.server.run(["sh", "-c", f"rm {key}; ssh-keygen -q -t ed25519 -N '' -f {key}"])
    lab.server.start_sshd()
    run = ask(lab.client, "run")
    assert run.returncode == 77
    assert "THE HOST KEY OF amanda HAS CHANGED" in run.stderr
    assert lab.server.amdump_count == 0


def test_amdump_that_fails_is_told_in_words(lab: Lab) -> None:
    """An unknown client makes amdump exit with 1: no backup, exit 100."""
    furnish(lab, command="/usr/sbin/amdump daily --exact-match nobody")
    unknown = ask(lab.client, "run")
    assert unknown.returncode == 100
    assert "exit status 1: an error" in unknown.stderr


def test_another_client_that_is_away_is_no_failure_of_ours(lab: Lab) -> None:
    """It makes an amdump of all exit with 5, and whose dump failed nobody tells; or with 9.

    Such a run does not count, alarms nobody, and is not made again at once. 3.5.4 exits with 9
    and dumps nobody. A line that names this client alone has nothing to do with the other.
    """
    furnish(lab, command="/usr/sbin/amdump daily", retry_within="1h")
    lab.server.add_dle("ghost", "/srv/docs")
    lab.server.append("/etc/hosts", "10.77.0.99 ghost\n")
    first = ask(lab.client, "run", timeout=180)
    assert first.returncode == 75, first.stderr
    said = " ".join(first.stderr.split())
    assert "amdump CONFIG --exact-match CLIENT" in said
    is_dumped = "exit status 5: an error, a dump that failed" in said
    assert (
        is_dumped or "exit status 9: an error, a dump without a result: it dumped no client" in said
    )
    for disk in DISKS:
        assert bool(lab.server.stored("laptop", disk)) == is_dumped
    assert ask_json(lab.client, "check")["due"], "what is in doubt counts"
    for _ in range(3):
        again = ask(lab.client, "run")
        assert (again.returncode, again.stdout, again.stderr) == (75, "", "")
    assert lab.server.amdump_count == 1

    configure(lab.client)  # COMMAND names it
    assert ask(lab.client, "run", "--force").returncode == 0
    first_outcome = "doubtful" if is_dumped else "nobody dumped"
    assert outcomes(lab.client) == [first_outcome, "backed up"]
    assert lab.server.amdump_count == 2


def test_disk_that_left_the_disklist_is_named(lab: Lab) -> None:
    """A run that is fine and does not bring a disk that is waited for is no success."""
    furnish(lab)
    assert ask(lab.client, "run").returncode == 0
    lab.server.write("/etc/amanda/daily/disklist", 'laptop "/srv/d 3" roaming\n', owner="backup")
    lab.client.clock_offset = timedelta(hours=25)
    run = ask(lab.client, "run")
    assert run.returncode == 100
    assert "did not dump /srv/docs" in run.stderr
    assert outcomes(lab.client) == ["backed up", "incomplete"]
    lab.client.clock_offset = timedelta(hours=1)
    assert not ask_json(lab.client, "check")["due"]
    configure(lab.client, disks=["/srv/d 3"], interval="1h")
    lab.client.clock_offset = timedelta(hours=50)
    assert ask(lab.client, "run").returncode == 0


def test_command_that_dumps_nothing_is_no_success(lab: Lab) -> None:
    """It ends well while no disk moves: a failure with an explanation, made once an interval."""
    furnish(lab, command="/usr/sbin/amdump daily --exact-match nobody; true")
    run = ask(lab.client, "run")
    assert run.returncode == 100
    assert "no disk moved forward in amandates" in " ".join(run.stderr.split())
    for _ in range(3):
        assert ask(lab.client, "run").returncode == 75
    assert lab.server.amdump_count == 1


def test_full_disk_stops_the_agent_before_the_command(lab: Lab) -> None:
    """Where the start cannot be remembered none is made, and nothing that was known is lost."""
    furnish(lab)
    assert ask(lab.client, "run").returncode == 0
    before = ask_json(lab.client, "history")
    lab.client.fill_disk()
    run = ask(lab.client, "run", "--force")
    assert run.returncode == 75
    assert "No space left on device" in run.stderr
    lab.client.free_disk()
    assert lab.server.amdump_count == 1
    assert ask_json(lab.client, "history") == before
    assert ask(lab.client, "run", "--force").returncode == 0


def test_key_may_be_bound_to_the_one_command(lab: Lab) -> None:
    """With a forced command a client's key starts this client's amdump, and nothing else."""
    furnish(lab)
    bound = f'restrict,command="{COMMAND}" {lab.client.backup_key}\n'
    lab.server.write("/var/backups/.ssh/authorized_keys", bound, owner="backup", mode=0o600)
    run = ask(lab.client, "run")
    assert run.returncode == 0, run.stderr
    stolen = ["ssh", "-o", "BatchMode=yes", "backup@amanda", "touch /srv/amanda/stolen"]
    lab.client.run(stolen, user="backup", check=False)
    assert lab.server.amdump_count == 2
    assert not lab.server.path("/srv/amanda/stolen").exists()
