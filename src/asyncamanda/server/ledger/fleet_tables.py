"""The ledger's tables about the fleet.

The ledger's owner makes what is missing of them in one that an older asyncamanda has begun, and
which that one can still use.
"""

from sqlalchemy import Boolean, Column, Float, Integer, String, Table, Text

from asyncamanda.server.ledger.column_types import Moment, Name
from asyncamanda.server.ledger.schema import METADATA

# one row a client: what it said of itself when it was connected last; `days` is JSON
reports = Table(
    "reports",
    METADATA,
    Column("client", Name, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("software", Name, nullable=False),
    Column("interval", Float),  # seconds, as the next two
    Column("stale_after", Float),
    Column("stale_after_use", Float),
    Column("deferred_at", Moment),
    Column("deferred_reason", Name, nullable=False, default=""),
    Column("days", Text, nullable=False, default="{}"),
    Column("used_seconds", Float),  # since its agent began to count, at `at`
    Column("gaps", Integer, nullable=False, default=0),  # how often it could not count
    Column("is_least", Boolean, nullable=False, default=False),
)

# one row a client: what `used_seconds` was when its last confirmed backup began
bases = Table(
    "bases",
    METADATA,
    Column("client", Name, primary_key=True),
    Column("backed_up_at", Moment, nullable=False),
    Column("used_seconds", Float),
    Column("is_least", Boolean, nullable=False, default=False),
)

# one row a client: a letter for each of its last days, `until` that one (core/fleet/facts.py)
strips = Table(
    "strips",
    METADATA,
    Column("client", Name, primary_key=True),
    Column("amanda_config", Name, primary_key=True),
    Column("until", String(10), nullable=False),
    Column("marks", Text, nullable=False),
)

# one row a day: how the fleet was at its end
fleet_days = Table(
    "fleet_days",
    METADATA,
    Column("day", String(10), primary_key=True),
    Column("clients", Integer, nullable=False),
    Column("protected", Integer, nullable=False),
    Column("half_exposed", Float),  # seconds, as the next
    Column("most_exposed", Float),
)

# one row a client, and one for each channel: which state was told last, and how many changes
# were told without a calm time between them (core/fleet/changes.py)
told = Table(
    "told",
    METADATA,
    Column("client", Name, primary_key=True),
    Column("channel", Name, primary_key=True),
    Column("state", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("times", Integer, nullable=False, default=1),
)
