"""Benchmarks of events: how soon readers have them, and what waiting costs."""

import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path

from benches import Bench, bench, crowds, memory_mb, processor_percent
from harness.command import run
from harness.postgres import Postgres


def requests(url):
    """Requests that a hub has answered so far, without this one."""
    with urllib.request.urlopen(url.rstrip("/") + "/metrics") as answer:
        return int(re.search(r"(?m)^toji_requests_total (\d+)", answer.read().decode()).group(1)) - 1


@bench
def events(b):
    """From the commit to 1,000 readers."""
    watchers = Path(b.toji).parent / "examples/watchers"
    figures, readers = {}, 50 if b.quick else 1000
    for engine in ("sqlite", "postgres"):
        directory = b.dir / f"latency-{engine}"
        directory.mkdir()
        server = Postgres(directory / "pg").start() if engine == "postgres" else None
        one = Bench(b.toji, directory, b.quick, ["--no-builder", *(["--database", server.create("toji")] if server else [])])
        try:
            ready = one.start()
            before = memory_mb(one.server.process.pid)
            found = run(watchers, "latency", ready["hub"], readers, ready["admin_user"], ready["admin_password"], 20 if b.quick else 200)
            figures.update({f"{engine}_{readers}_{name}": value for name, value in json.loads(found.out).items()})
            figures[f"{engine}_{readers}_memory_mb_more"] = memory_mb(one.server.process.pid) - before
        finally:
            one.close()
            if server:
                server.stop()
    return figures, {}


@bench
def waiting(b):
    """Requests and statements per second of a hub with 500 idle builders and 100 who wait: 50 for a task, 25 for its logs, 25 for a repository."""
    watchers = Path(b.toji).parent / "examples/watchers"
    figures = {}
    builders, many = (20, 10) if b.quick else (500, 100)
    for engine, crowd in crowds(b, builders):
        process = None
        try:
            crowd.start()
            ready, hub = crowd.b.server.ready, crowd.b.hub
            # No builder takes it.
            task = hub.call("makeTask", "sleep", [0], arch="s390x")
            hub.call("createTag", "waited", arches="x86_64")
            counts = [str(many // 2), str(many // 4), str(many - many // 2 - many // 4)]
            process = subprocess.Popen([watchers, "all", ready["hub"], *counts, str(task), "waited"])
            time.sleep(10 if b.quick else 40)
            statements, count, begin = crowd.statements(), requests(ready["url"]), time.monotonic()
            percent = processor_percent(crowd.b.server.process.pid, 20 if b.quick else 120)
            passed = time.monotonic() - begin
            mark = f"{engine}_{builders}_builders_{many}_watchers"
            figures[f"{mark}_requests_per_s"] = (requests(ready["url"]) - count - 1) / passed
            figures[f"{mark}_statements_per_s"] = (crowd.statements() - statements) / passed
            figures[f"{mark}_processor_percent"] = percent
            if process.poll() is not None:
                raise RuntimeError("the watchers ended")
        finally:
            if process:
                process.terminate()
                process.wait(30)
            crowd.close()
    return figures, {}
