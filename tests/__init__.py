"""Makes tests.fakes importable; pyRAPL installs a package of the same name that would win otherwise."""
