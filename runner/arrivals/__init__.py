"""When requests arrive: seeded schedules, one for the live queue or many at once for the twin."""
