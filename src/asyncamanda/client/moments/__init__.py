"""Is this a good moment: conditions, backoff, staying awake."""
