"""Whether the server's sshd shuts addresses out; an office behind a router is one address.

By what `sshd -G` prints (OpenSSH 9.3 on; PerSourcePenalties since 9.8, sshd_config(5)): a key in
small letters and its value, a line each.
"""

from asyncamanda.core.doctor.findings import Check, Health

_ON, _SPARED = "persourcepenalties", "persourcepenaltyexemptlist"


def judge_penalties(printed: str, *, is_there: bool) -> Check | None:
    """Return the check of sshd's penalties; None where it has none.

    `is_there`: the client is connected, so that its address is not shut out.
    """
    words = dict(line.partition(" ")[::2] for line in printed.splitlines())
    if words.get(_ON, "no") in {"no", ""}:
        return None
    spared = words.get(_SPARED, "none").split(",")
    if is_there or spared != ["none"]:
        whom = "none is exempt" if spared == ["none"] else f"exempt: {', '.join(spared)}"
        found = f"sshd blocks an address for a while after failed logins; {whom}"
        return Check("penalties", Health.OK, found)
    return Check(
        "penalties",
        Health.WARNING,
        "sshd blocks an address for a while after failed logins, and exempts none",
        "if the client shares its address (an office's router), somebody else there may get it "
        "blocked: `journalctl -u ssh` shows a penalty"
        "",
        "PerSourcePenaltyExemptList ADDRESS in /etc/ssh/sshd_config, and reload ssh",
    )
