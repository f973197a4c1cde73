"""What each benchmark does. A benchmark returns its figures and its ratios to peers of the same run."""

import contextlib
import json
import os
import re
import resource
import shutil
import sqlite3
import statistics
import subprocess
import time
import urllib.request
import xmlrpc.client
from pathlib import Path

from harness import scale
from harness.command import run
from harness.hub import Hub
from harness.postgres import Postgres
from harness.rpms import from_spec, srpm
from harness.server import Server
from stories.published import menagerie

BENCHES = {}


def bench(function):
    """Declares a benchmark under its function's name."""
    BENCHES[function.__name__.replace("_", "-")] = function
    return function


class Bench:
    """A fresh server for a benchmark, started when it is first used."""

    def __init__(self, toji, directory, quick, extra=(), times=1):
        self.times = times
        self.dir, self.quick, self.toji = Path(directory), quick, toji
        self.server = Server(toji, self.dir / "data", extra=extra)
        self._hub = None

    def start(self):
        """Starts the server and returns what it wrote about itself."""
        if self.server.process is None:
            self.server.start()
        return self.server.ready

    @property
    def hub(self):
        """A session as the administrator."""
        if self._hub is None:
            ready = self.start()
            self._hub = Hub(ready["hub"]).login(ready["admin_user"], ready["admin_password"])
        return self._hub

    @property
    def hub_of_nobody(self):
        """Calls without a session."""
        return Hub(self.start()["hub"])

    def target(self, name):
        """Makes a tag with x86_64, its build tag and a target."""
        self.hub.call("createTag", name, arches="x86_64")
        self.hub.call("createTag", f"{name}-build", arches="x86_64", parent=name)
        self.hub.call("createBuildTarget", name, f"{name}-build", name)

    def submit(self, target, source, package):
        """Lists, uploads and submits a package; returns the task."""
        self.hub.call("packageListAdd", target, package, self.server.ready["admin_user"])
        return self.hub.call("build", self.hub.upload(source, f"cli-build/{package}"), target, {})

    def repo(self, tag):
        """Waits for a repository of the tag as it is now."""
        event = self.hub.call("tagLastChangeEvent", tag)
        return self.hub.wait_request(self.hub.call("repo.request", tag, min_event=event))

    def close(self):
        """Ends the server."""
        if self.server.process is not None:
            self.server.stop()


def quantiles(values):
    """p50 and p99 (or the largest of few)."""
    values = sorted(values)
    return statistics.median(values), values[min(len(values) - 1, round(0.99 * (len(values) - 1)))]


@bench
def idle(b):
    """Memory and processor time of a server that nobody uses, of a builder, and of a hub with many idle builders."""
    b.start()
    pid = b.server.process.pid
    time.sleep(5)
    span = 5 if b.quick else 30
    figures = {"processor_percent": processor_percent(pid, span), "memory_mb": memory_mb(pid),
               "threads": int(re.search(r"Threads:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)),
               "builder_memory_mb": builder_memory(b)}
    b.close()
    builders = 20 if b.quick else 500
    for engine, crowd in crowds(b, builders):
        try:
            crowd.start()
            # What begins with the builders is over when all have asked for everything once.
            time.sleep(5 if b.quick else 40)
            hub = crowd.b.server.process.pid
            statements, transactions, begin = crowd.statements(), crowd.transactions(), time.monotonic()
            figures[f"{engine}_{builders}_processor_percent"] = processor_percent(hub, 10 if b.quick else 90)
            passed = time.monotonic() - begin
            figures[f"{engine}_{builders}_statements_per_s"] = (crowd.statements() - statements) / passed
            if crowd.postgres:
                figures[f"{engine}_{builders}_transactions_per_s"] = (crowd.transactions() - transactions) / passed
            figures[f"{engine}_{builders}_hub_memory_mb"] = memory_mb(hub)
        finally:
            crowd.close()
    return figures, {}


def memory_mb(pid):
    """The resident memory of a process."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def processor_percent(pid, span):
    """How much of a processor a process uses over so many seconds."""
    before = processor_seconds(pid)
    time.sleep(span)
    return 100 * (processor_seconds(pid) - before) / span


def builder_memory(b):
    """The most that one of three `toji builder` processes uses when it is connected and idle."""
    processes = []
    try:
        for n in range(3):
            name, conf = f"lone-{n}", b.dir / f"kojid-{n}.conf"
            b.hub.call("addHost", name, ["x86_64"])
            b.server.set_password(name, "lone")
            conf.write_text(f"[kojid]\nserver={b.server.ready['hub']}\nuser={name}\npassword=lone\nworkdir={b.dir / name}\nminspace=0\nmax_load=0\n")
            processes.append(subprocess.Popen([b.toji, "builder", "--config", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_until(lambda: all(b.hub.call("getHost", f"lone-{n}")["ready"] for n in range(3)), "the builders are not ready")
        return max(memory_mb(process.pid) for process in processes)
    finally:
        for process in processes:
            process.terminate()
            process.wait(30)


def processor_seconds(pid):
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# What a Koji hub of 1.36 answered in a second, to 1 and to 16 clients: recorded once, on another machine with two cores.
KOJI = {"getBuild": (450, 1085), "getTaskInfo": (715, 1257), "listBuilds": (256, 600), "listTasks": (142, 273),
        "listTagged": (4.5, 6.1), "multicall": (1.1, 1.8), "login": (250, 887), "echo": (1176, 2353), "getTag": (610, 1280)}


def questions(ready):
    """The measured calls. What they answer does not grow with the database."""
    first = scale.FIRST
    many = [{"methodName": "getBuild", "params": [first + 1 + n * 37]} for n in range(1000)]
    newest = {"limit": 50, "order": "-id"}
    return {
        "getBuild": ("getBuild", (first + 777,)),
        "getTag": ("getTag", ("tag1",)),
        "echo": ("echo", (1,)),
        "getTaskInfo": ("getTaskInfo", (first + 777, True)),
        "listBuilds": ("listBuilds", (first + 77,)),
        "listTasks": ("listTasks", ({"method": "method7"}, newest)),
        "listTagged": ("listTagged", ("tag1", None, True)),
        "login": ("login", (ready["admin_user"], ready["admin_password"])),
        "multicall": ("multiCall", (many,)),
    }


@bench
def rpc(b):
    """Calls per second at 1 and 16 clients with 50,000 builds and 200,000 tasks, beside what the database itself can do; with --times again, larger."""
    figures, ratios = {}, {}
    for times in sorted({1, b.times}):
        mark = "" if times == 1 else f"x{times}_"
        figures.update({mark + key: value for key, value in on_both(b, times).items()})
    for db in ("sqlite", "postgres"):
        for call, recorded in KOJI.items():
            for clients, theirs in zip((1, 16), recorded):
                mine = figures[f"{db}_{call}_{clients}_per_s"]
                ratios[f"{db}_{call}_{clients}_to_recorded_koji"] = mine / theirs
                limit = figures.get(f"pgbench_{call}_{clients}_per_s")
                if limit:
                    ratios[f"{db}_{call}_{clients}_to_pgbench"] = mine / limit
            if b.times != 1:
                # The median: a mean takes in what else the machine does.
                ratios[f"{db}_{call}_p50_x{b.times}_to_x1"] = figures[f"x{b.times}_{db}_{call}_1_p50_ms"] / figures[f"{db}_{call}_1_p50_ms"]
    return figures, ratios


def on_both(b, times):
    """Fills databases of a size and drives every call on them."""
    seconds = 1 if b.quick else 5
    figures = {}
    small = Bench(b.toji, b.dir / f"sqlite{times}", b.quick, ["--no-builder"])
    small.dir.mkdir()
    small.start()
    small.close()
    small.server.process = None
    figures["sqlite_fill_s"] = scale.fill_sqlite(database(small.server.data), times)
    try:
        figures.update(drive(small, "sqlite", seconds))
    finally:
        small.close()
        shutil.rmtree(small.dir)
    postgres = Postgres(b.dir / f"pg{times}", ["shared_buffers='1GB'", "max_wal_size='4GB'"]).start()
    large = Bench(b.toji, b.dir / f"onpg{times}", b.quick, ["--no-builder", "--database", postgres.create("toji")])
    large.dir.mkdir()
    try:
        large.start()
        figures["postgres_fill_s"] = scale.fill_postgres(postgres, "toji", times)
        figures.update(drive(large, "postgres", seconds))
        for name, (method, args) in questions(large.server.ready).items():
            if name in ("getBuild", "getTag", "getTaskInfo", "listBuilds", "listTasks", "listTagged"):
                script = ";\n".join(postgres.queries(lambda: large.hub_of_nobody.call(method, *args))) + ";\n"
                for clients in (1, 16):
                    figures[f"pgbench_{name}_{clients}_per_s"] = postgres.pgbench("toji", script, clients, seconds)
    finally:
        large.close()
        postgres.stop()
        shutil.rmtree(postgres.dir)
    return figures


def drive(b, prefix, seconds):
    """Drives every call of a filled server, and notes the load of the machine beside them."""
    ready = b.start()
    figures = {}
    for clients in (1, 16):
        for name, (method, args) in questions(ready).items():
            # A call that takes seconds needs more of them.
            span = max(seconds, 10) if name in ("multicall", "listTagged") else seconds
            figures.update(load(b, ready["hub"], f"{prefix}_{name}", method, args, clients, span))
    figures[f"{prefix}_load_1m"] = os.getloadavg()[0]
    return figures


def load(b, url, name, method, args, clients, seconds):
    """Drives one call with wrk; returns requests per second and milliseconds."""
    body = xmlrpc.client.dumps(args, method, allow_none=True)
    script = b.dir / f"{name}.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\nwrk.headers["Content-Type"] = "text/xml"\n')
    said = run("wrk", "-t", "1", "-c", clients, "-d", f"{seconds}s", "--timeout", "60s", "--latency", "-s", script, url).out
    number = lambda pattern: re.search(pattern, said).group(1)  # noqa: E731
    if "Non-2xx" in said:
        raise RuntimeError(f"some calls failed:\n{said}")
    return {f"{name}_{clients}_per_s": float(number(r"Requests/sec:\s+([\d.]+)")),
            f"{name}_{clients}_p50_ms": milliseconds(number(r"(?m)^ +50%\s+(\S+)")),
            f"{name}_{clients}_p99_ms": milliseconds(number(r"(?m)^ +99%\s+(\S+)"))}


def milliseconds(text):
    """wrk's time with its unit."""
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if not found:
        raise RuntimeError(f"wrk gives a time of {text!r}: no call ended in time")
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[found[2]]


@bench
def doors(b):
    """The same calls by each door: calls per second, p99, the hub's CPU and bytes for each call, at 1, 16 and 256 clients; a thousand in one."""
    b.server.extra.append("--no-builder")
    b.start()
    b.close()
    b.server.process = None
    scale.fill_sqlite(database(b.server.data))
    ready = b.start()
    url, first = ready["url"].rstrip("/"), scale.FIRST
    figures = {}
    # In turns where doors are compared: what else the machine does is not one door's.
    for clients, turns in ((1, 1), (16, 3), (256, 1)):
        found = {}
        for _ in range(turns):
            for door, request in asked_at(url, "getBuild", "buildInfo", first + 777).items():
                for key, value in pressed(b, f"{door}_getBuild_{clients}", clients, 1 if b.quick else 5, *request).items():
                    found.setdefault(key, []).append(value)
        figures.update({key: statistics.median(values) for key, values in found.items()})
    for door, request in asked_at(url, "listTagged", "tag", "tag1").items():
        figures.update(pressed(b, f"{door}_listTagged_1", 1, 2 if b.quick else 10, *request))
    for door, request in thousand_at(url, [first + 1 + n * 37 for n in range(1000)]).items():
        figures.update(pressed(b, f"{door}_thousand_1", 1, 2 if b.quick else 10, *request))
    ratios = {f"{door}_cpu_to_xmlrpc": figures[f"{door}_getBuild_16_cpu_us"] / figures["xmlrpc_getBuild_16_cpu_us"]
              for door in ("jsonrpc", "http", "grpc")}
    ratios.update({f"{door}_thousand_cpu_to_xmlrpc": figures[f"{door}_thousand_1_cpu_us"] / figures["xmlrpc_thousand_1_cpu_us"]
                   for door in ("jsonrpc", "grpc")})
    return figures, ratios


def asked_at(url, method, name, value):
    """For each door: its address, the document of a call with one parameter, and its headers."""
    kind = {"http2": False, "Content-Type": "application/json"}
    rpc = {"jsonrpc": "2.0", "id": 1, "method": method, "params": [value]}
    return {
        "xmlrpc": (f"{url}/kojihub", xmlrpc.client.dumps((value,), method).encode(), {"http2": False, "Content-Type": "text/xml"}),
        "jsonrpc": (f"{url}/api/rpc", json.dumps(rpc).encode(), kind),
        "http": (f"{url}/api/v1/{method}", json.dumps({name: value}).encode(), kind),
        "grpc": (f"{url}/toji.hub.v1.Hub/{method[0].upper()}{method[1:]}", framed(message(1, of_value(value))), GRPC),
    }


def thousand_at(url, builds):
    """For each door that has them: many getBuild in one transaction."""
    calls = [{"methodName": "getBuild", "params": [build]} for build in builds]
    batch = [{"jsonrpc": "2.0", "id": at, "method": "getBuild", "params": [build]} for at, build in enumerate(builds)]
    stream = [framed(message(2, b"\x08" + varint(at) + message(2, b"getBuild") + message(3, of_value(build)))) for at, build in enumerate(builds)]
    return {
        "xmlrpc": (f"{url}/kojihub", xmlrpc.client.dumps((calls,), "multiCall").encode(), {"http2": False, "Content-Type": "text/xml"}),
        "jsonrpc": (f"{url}/api/rpc", json.dumps(batch).encode(), {"http2": False, "Content-Type": "application/json"}),
        "grpc": (f"{url}/toji.hub.v1.Calls/Multicall", b"".join(stream), GRPC),
    }


GRPC = {"http2": True, "Content-Type": "application/grpc", "TE": "trailers"}


def varint(number):
    """A number as protocol buffers have it."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def message(field, content):
    """A field with bytes in it."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def of_value(value):
    """The fields of a Value that is an integer or text."""
    return b"\x18" + varint(value) if isinstance(value, int) else message(5, value.encode())


def framed(content):
    """A message of gRPC, not compressed."""
    return b"\0" + len(content).to_bytes(4, "big") + content


def pressed(b, name, clients, seconds, url, body, headers):
    """Sends one request over and over with h2load; returns what it cost."""
    headers = dict(headers)
    version = ["-p", "h2c"] if headers.pop("http2") else ["--h1"]
    document, log = b.dir / f"{name}.body", b.dir / f"{name}.log"
    document.write_bytes(body)
    log.unlink(missing_ok=True)
    more = [word for key, value in headers.items() for word in ("-H", f"{key}: {value}")]

    def send(count):
        # By number: h2load 1.52 does not always end when many clients are stopped by time.
        log.unlink(missing_ok=True)
        return run("h2load", *version, "-c", clients, "-t", 1, "-n", count, "-d", document, "--log-file", log, *more, url).out

    took = re.search(r"finished in ([\d.]+)(us|ms|s)", send(2 * clients))
    once = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[took[2]] / (2 * clients)
    before, begin = cpu(b.server.process.pid), time.perf_counter()
    said = send(max(2 * clients, int(seconds / once)))
    took, used = time.perf_counter() - begin, cpu(b.server.process.pid) - before
    done = int(re.search(r"(\d+) succeeded", said).group(1))
    failed = [int(found) for found in re.findall(r"(\d+) (?:failed|errored)", said)]
    if not done or any(failed):
        raise RuntimeError(f"{name}: some calls failed:\n{said}")
    total = int(re.search(r"traffic: .*?\((\d+)\) total", said).group(1))
    times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    log.unlink()
    return {f"{name}_per_s": done / took, f"{name}_p99_ms": times[len(times) * 99 // 100] / 1000,
            f"{name}_cpu_us": used / done * 1e6, f"{name}_bytes": total / done}


def cpu(process):
    """Seconds of CPU that a process has used."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@bench
def multicall(b):
    """A thousand getBuild in one request, on 50,000 builds, against the same calls one by one."""
    b.server.extra.append("--no-builder")
    b.start()
    b.close()
    b.server.process = None
    scale.fill_sqlite(database(b.server.data))
    calls = [{"methodName": "getBuild", "params": [scale.FIRST + 1 + n * 37]} for n in range(1000)]
    times = []
    for _ in range(3 if b.quick else 10):
        begin = time.perf_counter()
        answers = b.hub.call("multiCall", calls)
        times.append(time.perf_counter() - begin)
        assert len(answers) == 1000 and answers[7][0]["id"] == calls[7]["params"][0]
    begin = time.perf_counter()
    for call in calls[:200]:
        b.hub.call("getBuild", *call["params"])
    single = (time.perf_counter() - begin) / 200
    p50 = statistics.median(times)
    return {"thousand_s": p50, "single_ms": single * 1000}, {"single_calls_to_multicall": single * 1000 / p50}


@bench
def build(b):
    """A whole build of a tiny package, from the submission to the repository that has it."""
    b.target("t")
    b.repo("t-build")
    steps = {"submit_to_tagged_s": [], "submit_to_repo_s": []}
    starts = []
    for n in range(2 if b.quick else 10):
        source = srpm(b.dir, f"tiny{n}")
        begin = time.perf_counter()
        task = b.submit("t", source, f"tiny{n}")
        b.hub.wait(task)
        steps["submit_to_tagged_s"].append(time.perf_counter() - begin)
        b.repo("t-build")
        steps["submit_to_repo_s"].append(time.perf_counter() - begin)
        starts += [t["start_ts"] - t["create_ts"] for t in [b.hub.call("getTaskInfo", task), *b.hub.call("getTaskChildren", task)] if t.get("start_ts")]
    figures = {key: statistics.median(values) for key, values in steps.items()}
    p50, p99 = quantiles(starts)
    return {**figures, "created_to_running_p50_ms": p50 * 1000, "created_to_running_max_ms": p99 * 1000}, {}


@bench
def dispatch(b):
    """From the making of a task to its running, with builders connected and tasks queued that fit none; with --times 10 also ten times the builders."""
    figures, ratios = {}, {}
    sizes = [(10, 100)] if b.quick else [(500, 10_000)]
    if b.times > 1:
        sizes += [(sizes[0][0] * b.times, sizes[0][1])]
    for builders, queued in sizes:
        for engine, crowd in crowds(b, builders):
            try:
                found = crowd.measure(queued, 20 if b.quick else 300)
                limit = crowd.commits(2 if b.quick else 10)
            finally:
                crowd.close()
            name = f"{engine}_{builders}_{queued}"
            figures.update({f"{name}_{key}": value for key, value in found.items()})
            figures[f"{name}_commits_per_s"] = limit
            ratios[f"{name}_tasks_to_commits"] = found["tasks_per_s"] / limit
    return figures, ratios


def crowds(b, builders):
    """A crowd on each database."""
    for engine in ("sqlite", "postgres"):
        directory = b.dir / f"{engine}-{builders}"
        directory.mkdir()
        server = Postgres(b.dir / f"pg-{builders}").start() if engine == "postgres" else None
        more = ["--database", server.create("toji")] if server else []
        yield engine, Crowd(Bench(b.toji, directory, b.quick, more), server, builders)


class Crowd:
    """A server with many builders that are one process: they speak the real protocol and do nothing."""

    def __init__(self, b, postgres, builders):
        self.b, self.postgres, self.builders, self.process = b, postgres, builders, None

    def start(self):
        """Adds the hosts, starts the builders and returns when all are ready."""
        # Each builder has two connections.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
        ready, hub = self.b.start(), self.b.hub
        calls = [{"methodName": "addHost", "params": [f"crowd-{n}", ["x86_64"]]} for n in range(self.builders)]
        for at in range(0, self.builders, 1000):
            hub.call("multiCall", calls[at:at + 1000])
        # No call sets a password, and the benchmark needs many users that have one.
        statement = "UPDATE users SET password = 'crowd' WHERE name LIKE 'crowd-%'"
        if self.postgres:
            self.postgres.psql("toji", statement)
        else:
            with sqlite3.connect(database(self.b.server.data), timeout=30) as db:
                db.execute(statement)
        program = Path(self.b.toji).parent / "examples/crowd"
        self.process = subprocess.Popen([program, ready["hub"], str(self.builders), "crowd", self.b.dir / "crowd"])
        up = lambda: sum(h["ready"] for h in hub.call("listHosts") if h["name"].startswith("crowd-")) == self.builders  # noqa: E731
        wait_until(up, "the builders are not ready", 60 + self.builders / 5)

    def measure(self, queued, tasks):
        """Times single tasks on a full queue, then many trivial ones at once."""
        self.start()
        hub, found = self.b.hub, {}
        waiting = {"methodName": "makeTask", "params": ["sleep", [0], {"__starstar": True, "arch": "s390x"}]}
        for _ in range(0, queued, 1000):  # a request has a limit of size
            hub.call("multiCall", [waiting] * min(queued, 1000))
        infos = [hub.wait(hub.call("makeTask", "sleep", [0])) for _ in range(tasks)]
        p50, p99 = quantiles([info["start_ts"] - info["create_ts"] for info in infos])
        found.update(p50_ms=p50 * 1000, p99_ms=p99 * 1000)
        statements, begin = self.statements(), time.perf_counter()
        count = tasks * 10
        made = []
        for at in range(0, count, 1000):
            made += hub.call("multiCall", [{"methodName": "makeTask", "params": ["sleep", [0]]}] * min(1000, count - at))
        last = [one[0] for one in made]
        while last:
            last = [t for t, info in zip(last, hub.call("getTaskInfo", last)) if info["state"] not in (2, 3, 5)]
            time.sleep(0.05)
        found["tasks_per_s"] = count / (time.perf_counter() - begin)
        found["statements_per_task"] = (self.statements() - statements) / count
        found["load_1m"] = os.getloadavg()[0]
        return found

    def statements(self):
        """Statements that the server has run so far."""
        with urllib.request.urlopen(self.b.server.ready["url"].rstrip("/") + "/metrics") as answer:
            return int(re.search(r"(?m)^toji_database_statements_total (\d+)", answer.read().decode()).group(1))

    def transactions(self):
        """Transactions of the database so far."""
        if not self.postgres:
            return 0
        return int(self.postgres.psql("postgres", "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'toji'"))

    def commits(self, seconds):
        """Commits per second of one row each that the database itself reaches, with as many clients as the hub has connections."""
        if self.postgres:
            self.postgres.psql("toji", "CREATE TABLE plain (id SERIAL, n INTEGER)")
            return self.postgres.pgbench("toji", "INSERT INTO plain (n) VALUES (1);\n", 16, seconds)
        with contextlib.closing(sqlite3.connect(self.b.dir / "plain.db", isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, n INTEGER)")
            count, begin = 0, time.perf_counter()
            while time.perf_counter() - begin < seconds:
                db.execute("INSERT INTO plain (n) VALUES (1)")
                count += 1
            return count / (time.perf_counter() - begin)

    def close(self):
        """Ends the builders and the servers."""
        if self.process:
            self.process.terminate()
            self.process.wait(120)
        self.b.close()
        if self.postgres:
            self.postgres.stop()


def database(data):
    """The embedded database's file."""
    return next(p for p in data.rglob("*") if p.is_file() and p.open("rb").read(15) == b"SQLite format 3")


def wait_until(held, what, timeout=60):
    """Returns when the condition holds."""
    deadline = time.monotonic() + timeout
    while not held():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} after {timeout} s")
        time.sleep(0.1)


@bench
def repo_latency(b):
    """From a change of a tag to the repository that has it."""
    b.target("t")
    source = srpm(b.dir, "thing")
    b.hub.wait(b.submit("t", source, "thing"))
    b.repo("t-build")
    times = []
    for n in range(4 if b.quick else 30):
        begin = time.perf_counter()
        b.hub.call("groupListAdd", "t-build", f"g{n}")
        b.repo("t-build")
        times.append(time.perf_counter() - begin)
    p50, p99 = quantiles(times)
    return {"p50_ms": p50 * 1000, "p99_ms": p99 * 1000}, {}


@bench
def solve(b):
    """Warm questions to the dependency solver on 5,000 packages, and to dnf on the same ones."""
    program = Path(b.toji).parent / "examples/bench_solve"
    packages, questions = (1000, 50) if b.quick else (5000, 1000)
    figures = json.loads(run(program, packages, questions).out)
    ratios = {"dnf_p50_to_ours": figures["dnf_p50_s"] / figures["p50_s"],
              "dnf_p99_to_ours": figures["dnf_p99_s"] / figures["p99_s"]}
    return figures, ratios


@bench
def repodata(b):
    """A repository of 2,000 packages, against createrepo_c on the same files."""
    count = 100 if b.quick else 2000
    b.target("t")
    text = b.dir / "zoo.spec"
    text.write_text(menagerie("zoo", count))
    begin = time.perf_counter()
    b.hub.wait(b.submit("t", from_spec(text, b.dir), "zoo"), timeout=1800)
    built = time.perf_counter() - begin
    b.repo("t")
    topdir = Path(b.server.ready["topdir"])
    peer = b.dir / "peer"
    peer.mkdir()
    for path in (topdir / "packages").rglob("*.rpm"):
        if not path.name.endswith(".src.rpm"):
            (peer / path.name).symlink_to(path)
    mine, theirs, cached = [], [], []
    for n in range(3 if b.quick else 5):
        b.hub.call("groupListAdd", "t", f"g{n}")
        begin = time.perf_counter()
        b.repo("t")
        mine.append(time.perf_counter() - begin)
        shutil.rmtree(peer / "repodata", ignore_errors=True)
        theirs.append(timed("createrepo_c", "-q", peer))
        cached.append(timed("createrepo_c", "-q", "--update", "--skip-stat", peer))
    p50 = statistics.median(mine)
    return ({"packages": count, "toji_s": p50, "createrepo_c_s": statistics.median(theirs),
             "createrepo_c_update_s": statistics.median(cached), "build_and_import_s": built},
            {"createrepo_c_to_toji": statistics.median(theirs) / p50, "createrepo_c_update_to_toji": statistics.median(cached) / p50})


def timed(*argv):
    """Seconds that a program takes."""
    begin = time.perf_counter()
    run(*argv)
    return time.perf_counter() - begin
