"""The benchmarks: figures of this machine, and ratios to a peer that is measured in the same run."""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import bench_backup  # noqa: E402, F401
import bench_buildroot  # noqa: E402, F401
import bench_clients  # noqa: E402, F401
import bench_events  # noqa: E402, F401
import bench_repo_create  # noqa: E402, F401
import bench_repos  # noqa: E402, F401
import bench_scan  # noqa: E402, F401
import bench_serve  # noqa: E402, F401
from benches import BENCHES, Bench  # noqa: E402

def machine():
    """What the figures depend on."""
    memory = next(line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return {"cores": os.cpu_count(), "memory_gb": round(int(memory) / 1e6, 1), "system": platform.platform(),
            "load_1m": os.getloadavg()[0]}


def main():
    """Runs the named benchmarks, or all, and writes what they found."""
    parser = argparse.ArgumentParser(prog="./x bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of: " + " ".join(BENCHES))
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--toji", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, to see that it runs")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="measure calls also on a database N times as large")
    options = parser.parse_args()
    unknown = set(options.names) - BENCHES.keys()
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    results, failed = {}, []
    for name in options.names or BENCHES:
        directory = Path(tempfile.mkdtemp(prefix=f"toji-bench-{name}-"))
        bench = Bench(options.toji, directory, options.quick, times=options.times)
        begin = time.monotonic()
        try:
            figures, ratios = BENCHES[name](bench)
        except Exception as error:
            failed.append(name)
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        finally:
            bench.close()
            shutil.rmtree(directory, ignore_errors=True)
        results[name] = {"figures": figures, "ratios": ratios, "machine": machine()}
        print(f"{name} ({time.monotonic() - begin:.0f} s)", flush=True)
        for kind, values in (("", figures), ("ratio ", ratios)):
            for key, value in values.items():
                print(f"  {kind}{key}: {value:.4g}" if isinstance(value, float) else f"  {kind}{key}: {value}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
