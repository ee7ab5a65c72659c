"""For how long a machine was used since its last backup, in words."""

from datetime import timedelta

from asyncamanda.core.agent.summary import Status, Summary
from asyncamanda.core.exposure.values import Exposure
from asyncamanda.core.model import Policy
from asyncamanda.core.values.interval import format_interval, format_rough

MINUTE = timedelta(minutes=1)


def describe_exposure(summary: Summary, status: Status) -> str:
    """Return for how long the machine was used since the last backup began."""
    exposure, limit = status.exposure, summary.policy.stale_after_use
    since = "the last backup began" if status.decision.last_at else "its use is counted"
    if exposure.used is None:
        return f"how long this machine was used since {since} is not known"
    least = "at least " if exposure.is_least and exposure.used >= MINUTE else ""
    until = f"; the limit is {format_interval(limit)} of use" if limit else ""
    return f"used for {least}{format_rough(exposure.used)} since {since}{until}"


def describe_overuse(policy: Policy, exposure: Exposure) -> str:
    """Return what more there is to say of a backup that is stale by its use; "" for nothing."""
    limit, used = policy.stale_after_use, exposure.used
    if limit is None or used is None or used <= limit:
        return ""
    return f", in which this machine was used for {format_rough(used)}"
