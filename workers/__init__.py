"""When work runs: Celery tasks, the beat schedule and the reaper."""
