"""What a backup sends is limited as client.toml says, in real dumps."""

import json
import re
import time
from pathlib import Path

from tests.e2e.laptop import ASYNCAMANDA
from tests.e2e.office import DISK, open_office

RATE = 200_000  # bytes a second
SIZE = 1_500_000


def test_a_backup_sends_no_more_than_its_limit(lab_prefix: Path) -> None:
    """The limit is shown; what comes through is whole."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill(files=1, bytes_each=SIZE)
        office.set_up()
        client = office.client("laptop")
        office.configure_agent(client, rate=["9 MB/s on wwan", "200 kB/s"])
        begun_at = time.monotonic()
        run = office.backup("laptop", "-v")
        assert run.returncode == 0, run.stderr + office.diary
        assert time.monotonic() - begun_at > SIZE / RATE
        assert "limited to 200 kB/s" in run.stderr
        line = next(
            line
            for line in office.server.run_logs()[-1].splitlines()
            if line.startswith("SUCCESS dumper")
        )
        assert float(re.findall(r"kps ([0-9.]+)", line)[0]) <= 1.15 * RATE / 1024, line
        assert office.server.restore("laptop", DISK) == client.tree(DISK)


def test_a_limit_without_effect_is_told(lab_prefix: Path) -> None:
    """Where Amanda connects by itself: by the run that is not limited, and by the doctor."""
    with open_office(lab_prefix, "laptop") as office:
        office.fill(files=1, bytes_each=10_000)
        office.set_up(direct=["laptop"])
        client = office.client("laptop")
        office.configure_agent(client, rate="200 kB/s")
        run = office.backup("laptop", "-v")
        assert run.returncode == 0, run.stderr + office.diary
        assert "`rate` has no effect" in run.stderr
        doctor = client.run([ASYNCAMANDA, "doctor", "--json"], check=False)
        (gate,) = [c for c in json.loads(doctor.stdout)["checks"] if c["check"] == "gate"]
        assert (gate["health"], "`rate` has no effect" in gate["found"]) == ("warning", True)
        office.configure_agent(client)
        run = office.backup("laptop", "-v", "--force")
        assert "no effect" not in run.stderr
