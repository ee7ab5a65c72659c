"""Timer and cron files."""
