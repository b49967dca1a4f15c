"""A powercap tree whose counters another process keeps up to date: a machine of known energy that does not exist.

``python -m benchmarks.powercap_writer FOLDER RANGE_J`` writes until it is killed. Tests use it too.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
UPDATE_PERIOD_S = 0.001  # as RAPL's
UNIT_J = 61.035e-6
FIRST_WRAP_S = 1.0
"""after the start, for the first package"""
ZONES = (("package-0", 400.0), ("package-0/dram", 40.0), ("package-1", 500.0), ("package-1/dram", 50.0))
"""name and mean power of each counter: a machine of two sockets"""
_SWING_RATIO = 0.5
_SWING_HZ = 0.7
_READY = "ready"
_LOG = "log"


def energy_j(mean_w: float, at_s: float) -> float:
    """Return the energy until a moment of the monotonic clock: power is a sine around its mean, from 50 to 150 %."""
    rate = 2 * math.pi * _SWING_HZ
    return mean_w * (at_s + _SWING_RATIO / rate * (1 - math.cos(rate * at_s)))


def powercap(folder: Path) -> Path:
    """Return where the tree stands for /sys/class/powercap."""
    return folder / "powercap"


def zone_path(folder: Path, name: str) -> Path:
    """Return the directory of a counter."""
    package, _, part = name.partition("/")
    path = powercap(folder) / "intel-rapl" / f"intel-rapl:{package[-1]}"
    return path / f"intel-rapl:{package[-1]}:0" if part else path


def updates(folder: Path) -> list[float]:
    """Return when the counters were brought up to date."""
    return [float(line) for line in (folder / _LOG).read_text(encoding="ascii").splitlines()[:-1]]


@contextmanager
def written_tree(folder: Path, range_j: float) -> Iterator[None]:
    """Keep a tree in an empty folder up to date, in another process, for as long as this is entered.

    Args:
        folder: an empty one.
        range_j: after which counters begin again at 0.
    """
    command = [sys.executable, "-m", "benchmarks.powercap_writer", str(folder), str(range_j)]
    with subprocess.Popen(command, cwd=ROOT) as writer:
        try:
            while not (folder / _READY).exists():
                if writer.poll() is not None:
                    raise RuntimeError(f"the writer ended with {writer.returncode}")
                time.sleep(UPDATE_PERIOD_S)
            yield
        finally:
            writer.kill()


def main(folder: Path, range_j: float) -> None:
    """Write until killed."""
    units = round(range_j / UNIT_J)
    files = [_make_zone(zone_path(folder, name), units) for name, _ in ZONES]
    for cpu in (0, 1):
        topology = folder / "cpu" / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{cpu}\n", encoding="ascii")
    (folder / "cpu" / "present").write_text("0-1\n", encoding="ascii")
    offset_j = range_j - energy_j(ZONES[0][1], time.monotonic() + FIRST_WRAP_S)
    with (folder / _LOG).open("w", encoding="ascii", buffering=1) as log:
        while True:
            at_s = time.monotonic()
            for (_, mean_w), file in zip(ZONES, files, strict=True):
                count = int((offset_j + energy_j(mean_w, at_s)) / UNIT_J) % units
                # One write of one length: readers keep the file open, and never see a part of a number.
                os.pwrite(file, f"{int(count * UNIT_J * 1e6):016d}\n".encode(), 0)
            log.write(f"{at_s}\n")
            (folder / _READY).touch()
            time.sleep(max(0.0, at_s + UPDATE_PERIOD_S - time.monotonic()))


def _make_zone(path: Path, units: int) -> int:
    """Make a counter, and return the descriptor of its file."""
    name = path.name.count(":") == 1
    path.mkdir(parents=True)
    (path / "name").write_text(f"package-{path.name[-1]}\n" if name else "dram\n", encoding="ascii")
    # The largest value: the counter wraps one unit later.
    (path / "max_energy_range_uj").write_text(f"{int((units - 1) * UNIT_J * 1e6)}\n", encoding="ascii")
    return os.open(path / "energy_uj", os.O_CREAT | os.O_WRONLY)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
