"""Benchmarks of clients: the library beside the stock client and txkoji, and a client beside a flood of others."""

import contextlib
import json
import os
import re
import resource
import statistics
import subprocess
import xmlrpc.client
from pathlib import Path

from benches import Bench, bench, database, milliseconds
from harness import scale
from harness.command import run

ROOT = Path(__file__).resolve().parent.parent

STOCK = """
import sys, time, koji
url, first, count, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
session = koji.ClientSession(url)
begin = time.perf_counter()
if how == "batch":
    with session.multicall(batch=1000) as calls:
        found = [calls.getBuild(first + at) for at in range(count)]
    found = [one.result for one in found]
else:
    found = [session.getBuild(first + at) for at in range(count)]
assert [build["id"] for build in found] == list(range(first, first + count))
print(time.perf_counter() - begin)
"""

TXKOJI = """
import configparser, sys, time
import twisted.web.xmlrpc
# What these were called when txkoji was released.
configparser.SafeConfigParser = configparser.ConfigParser
twisted.web.xmlrpc._QueryFactory = twisted.web.xmlrpc.QueryFactory
from twisted.internet import defer
from twisted.internet.task import Cooperator, react
from txkoji import Connection
first, count, how = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


@defer.inlineCallbacks
def example(reactor):
    hub, found = Connection("toji"), []
    begin = time.perf_counter()

    def work(numbers):
        for number in numbers:
            yield hub.getBuild(number).addCallback(found.append)

    numbers = iter(range(first, first + count))
    together = Cooperator()
    yield defer.gatherResults([together.coiterate(work(numbers)) for _ in range(16 if how == "side" else 1)])
    assert sorted(build.id for build in found) == list(range(first, first + count))
    print(time.perf_counter() - begin)


react(example)
"""


@bench
def client(b):
    """10,000 getBuild by the Rust client, the stock client and txkoji: one by one, sixteen side by side, in multicalls of a thousand."""
    url, count = filled(b)["hub"], 1000 if b.quick else 10_000
    home = b.dir / "home"
    # The only place of a user's where txkoji looks.
    (home / ".koji/config.d").mkdir(parents=True)
    (home / ".koji/config.d/toji.conf").write_text(f"[toji]\nserver = {url}\n")
    ours = [Path(b.toji).parent / "examples/calls", url]
    stock = [ROOT / ".x/venv/bin/python", "-W", "ignore", "-c", STOCK, url]
    txkoji = [ROOT / ".x/txkoji/bin/python", "-W", "ignore", "-c", TXKOJI]
    figures = {}
    for how, peers in (("one", {"rust": ours, "stock": stock, "txkoji": txkoji}), ("side", {"rust": ours, "txkoji": txkoji}),
                       ("batch", {"rust": ours, "stock": stock})):
        for name, program in peers.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            said = run(*program, scale.FIRST + 1, count, how, env={"HOME": str(home)}, timeout=3600)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            figures[f"{name}_{how}_s"] = float(said.out)
            figures[f"{name}_{how}_cpu_us"] = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / count * 1e6
    figures["load_1m"] = os.getloadavg()[0]
    ratios = {f"{name}_{how}_to_rust": figures[f"{name}_{how}_s"] / figures[f"rust_{how}_s"]
              for name, how in (("stock", "one"), ("txkoji", "one"), ("txkoji", "side"), ("stock", "batch"))}
    return figures, ratios


def filled(b):
    """A server with 50,000 builds; what it wrote about itself."""
    b.server.extra.append("--no-builder")
    b.start()
    b.close()
    b.server.process = None
    scale.fill_sqlite(database(b.server.data))
    return b.start()


@bench
def flood(b):
    """The p99 of a client with a session, alone and beside floods of people without one: large listings, multicalls, small calls, long documents.

    Each flood goes to the client's hub, and then to another hub on the same machine: floods take processors from their neighbours, too, and a hub
    can do no more for its clients than to be as good as one that the flood does not reach.
    """
    other = Bench(b.toji, b.dir / "elsewhere", b.quick)
    other.dir.mkdir()
    try:
        return flooded(b, filled(b), filled(other), 2 if b.quick else 10)
    finally:
        other.close()


def flooded(b, here, elsewhere, seconds):
    """Measures the client of a hub in quiet, and beside floods here and elsewhere."""
    figures = measured(b, "quiet", seconds)
    names = list(floods(here))
    for prefix, ready in (("", here), ("elsewhere_", elsewhere)):
        for name, (clients, address, document, kind) in floods(ready).items():
            body = b.dir / f"{name}.body"
            body.write_bytes(document)
            # What sends the flood is another machine's work: it gets what the hub leaves.
            command = ["nice", "-n", "19", "h2load", "--h1", "-c", clients, "-t", 1, "-n", 10_000_000, "-d", body, "-H", f"Content-Type: {kind}", address]
            sender = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                # Where the system shares processors among sessions first, its session must give way, too.
                with contextlib.suppress(OSError):
                    Path(f"/proc/{sender.pid}/autogroup").write_text("19")
                # Until the lanes have seen what such calls take.
                measured(b, name, 3)
                figures.update(measured(b, prefix + name, seconds))
                if sender.poll() is not None:
                    raise RuntimeError(f"the flood of {name} has ended")
            finally:
                sender.kill()
                sender.wait()
    figures.update(measured(b, "quiet_again", seconds))
    quiet = statistics.mean([figures["quiet_p99_ms"], figures["quiet_again_p99_ms"]])
    ratios = {f"{name}_p99_to_quiet": figures[f"{name}_p99_ms"] / quiet for name in names}
    ratios.update({f"{name}_p99_elsewhere_to_quiet": figures[f"elsewhere_{name}_p99_ms"] / quiet for name in names})
    ratios.update({f"{name}_p99_to_elsewhere": figures[f"{name}_p99_ms"] / figures[f"elsewhere_{name}_p99_ms"] for name in names})
    return figures, ratios


def floods(ready):
    """How many clients send which document where, for each flood."""
    hub, url = ready["hub"], ready["url"].rstrip("/")
    many = [{"methodName": "getBuild", "params": [scale.FIRST + 1 + n * 37]} for n in range(1000)]
    dump = lambda method, *args: xmlrpc.client.dumps(args, method, allow_none=True).encode()  # noqa: E731
    return {
        "listings": (64, hub, dump("listTagged", "tag1", None, True), "text/xml"),
        "listings_json": (64, f"{url}/api/v1/listTagged", json.dumps({"tag": "tag1", "inherit": True}).encode(), "application/json"),
        "multicalls": (64, hub, dump("multiCall", many), "text/xml"),
        "small": (256, hub, dump("getBuild", scale.FIRST + 777), "text/xml"),
        "documents": (64, hub, dump("echo", ["x"] * 100_000), "text/xml"),
    }


def measured(b, name, seconds):
    """What a client with a session gets from getBuild."""
    session = b.hub.session
    body = xmlrpc.client.dumps((scale.FIRST + 777,), "getBuild")
    headers = {"Content-Type": "text/xml", "Koji-Session-Id": session["session-id"], "Koji-Session-Key": session["session-key"]}
    script = b.dir / "client.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\n' + "".join(f'wrk.headers["{k}"] = "{v}"\n' for k, v in headers.items()))
    said = run("wrk", "-t", 1, "-c", 1, "-d", f"{seconds}s", "--timeout", "60s", "--latency", "-s", script, b.server.ready["hub"]).out
    if "Non-2xx" in said:
        raise RuntimeError(f"some calls failed:\n{said}")
    found = {f"{name}_{part.replace('%', '').replace('99', 'p99').replace('50', 'p50')}_ms": milliseconds(
        re.search(rf"(?m)^ +{part}\s+(\S+)", said).group(1)) for part in ("50%", "99%")}
    return {**found, f"{name}_per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)), f"{name}_load_1m": os.getloadavg()[0]}
