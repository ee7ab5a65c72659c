"""How long hypothesis may search: briefly, and in CI always in the same way."""

import os

from hypothesis import HealthCheck, settings

# a slow machine is no fault of the code's
_COMMON = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("local", _COMMON)
settings.register_profile("ci", _COMMON, derandomize=True, database=None, print_blob=False)
settings.load_profile("ci" if os.environ.get("ASYNCAMANDA_CI") else "local")
