"""Logs of tasks: live while they grow, whole after a crash of either side, small at rest."""

import base64
import re
import signal
import urllib.request
from pathlib import Path

from harness.builders import TojiBuilder, add_host
from harness.command import run
from harness.logs import STAMP, Polls, Stream, chatty, figures, read
from harness.server import Server
from harness.story import eq, has, story, that

from .workers import start, stop_all, until

LINES, PAUSE = 300, 0.03


def begin(w, target, package, lines=LINES, pause=PAUSE):
    """Starts a build that writes lines; returns its task and the one that writes."""
    w.hub.call("packageListAdd", target, package, w.ready["admin_user"])
    source = w.hub.upload(w.srpm(package, build=chatty(lines, pause)), f"cli-build/{package}")
    task = w.hub.call("build", source, target, {})
    return task, until(lambda: writer(w, task), "task that builds")


def writer(w, task):
    """The open task that builds, once it has begun to write lines."""
    below = w.hub.call("getTaskDescendents", task)[str(task)]
    found = [t["id"] for t in below if t["method"] == "buildArch" and t["state"] == 1]
    return found[0] if found and "build.log" in w.hub.call("listTaskOutput", found[0]) else None


def numbers(data):
    """The numbers of the lines that were written."""
    return [int(line[1]) for line in STAMP.finditer(bytes(data))]


def whole(w, task, name="build.log"):
    """A log as the hub has it."""
    found = w.hub.call("downloadTaskOutput", task, name)
    return found if isinstance(found, bytes) else base64.b64decode(found)


@story(own=True, slow=True)
def live(own):
    """Lines reach a follower, and one who asks as `koji watch-logs` does, while they are written; a companion tells when."""
    w = start(own)
    builder = None
    try:
        add_host(w, "writer")
        builder = TojiBuilder(w, "writer", own.toji, log_timestamps="yes")
        builder.says("live connection")
        target = w.target("t")
        w.hub.wait_repo(f"{target}-build")
        top, task = begin(w, target, "chatty")
        stream, polls = Stream(w.ready["url"], task, "build.log"), Polls(w.new_hub(), task, "build.log")
        watching = w.koji("watch-logs", str(task))
        w.hub.wait(top, 120)
        polls.over.set()
        for reader in (stream, polls):
            reader.join(60)
            that(not reader.is_alive(), "a reader goes on after the end of the task")
        text = whole(w, task)
        for what, reader in (("follower", stream), ("downloadTaskOutput", polls)):
            that(bytes(reader.data) == text, f"the {what} has {len(reader.data)} bytes, the log has {len(text)}")
            eq(numbers(reader.data), list(range(LINES)), f"the lines of the {what}")
            delays = reader.delays()
            print(f"     from the build's echo to the {what}: {figures(delays.values())}")
            # What comes with the end of the task is not live.
            that(len(reader.came) > LINES / 20, f"the {what} got everything in {len(reader.came)} pieces")
        eq(numbers(watching.out.encode()), list(range(LINES)), "the lines that koji watch-logs shows")
        stamps = [tuple(map(int, line.split())) for line in whole(w, task, "build.log-ts.log").decode().splitlines()]
        that(len(stamps) >= int(LINES * PAUSE) - 1, f"only {len(stamps)} times are noted")
        eq(stamps, sorted(stamps), "the order of times and lengths")
        first = float(STAMP.search(text)[2])
        near = [abs(time - first) for time, length in stamps if length >= STAMP.search(text).start()]
        that(near[0] < 60 and stamps[-1][1] <= len(text), f"times that are not of this log: {stamps[-1]}")
    finally:
        stop_all(w, builder)


@story(own=True, slow=True)
def killed_hub(own):
    """kill -9 of the hub in the middle of a log, three times: who reads on at his offset has every byte once."""
    server = Server(own.toji, own.dir / "server", extra=["--no-builder"]).start()
    w, builder = own.world(server, "world"), None
    try:
        server.listen = server.address
        add_host(w, "writer")
        builder = TojiBuilder(w, "writer", own.toji)
        builder.says("live connection")
        target = w.target("t")
        w.hub.wait_repo(f"{target}-build")
        top, task = begin(w, target, "survivor", 400)
        stream = Stream(w.ready["url"], task, "build.log")
        for count in (50, 150, 250):
            until(lambda: len(numbers(stream.data)) > count, f"line {count}")
            server.kill()
            server.start()
            w.renew()
        w.hub.wait(top, 120)
        stream.join(60)
        that(stream.breaks > 0, "the reader never lost its connection")
        eq(numbers(stream.data), list(range(400)), "the lines")
        that(bytes(stream.data) == whole(w, task), "the reader has other bytes than the hub")
        eq(stream.runs, 1, "the runs of the task")
    finally:
        stop_all(w, builder)


@story(own=True, slow=True)
def killed_builder(own):
    """kill -9 of a builder with lines that the hub has not got yet: they come with its next start; the task's next run has a log of its own."""
    w = start(own)
    builder = None
    try:
        add_host(w, "writer")
        builder = TojiBuilder(w, "writer", own.toji)
        builder.says("live connection")
        target = w.target("t")
        w.hub.wait_repo(f"{target}-build")
        top, task = begin(w, target, "victim", 400)
        stream = Stream(w.ready["url"], task, "build.log")
        until(lambda: len(numbers(stream.data)) > 50, "line 50")
        local = next(builder.workdir.glob(f"tasks/*/{task}/build.log"))
        # The hub takes nothing while it stands still, so that the builder's log gets ahead of its own.
        w.server.process.send_signal(signal.SIGSTOP)
        there = local.stat().st_size
        until(lambda: local.stat().st_size > there + 1000, "line that the hub has not got")
        builder.kill()
        w.server.process.send_signal(signal.SIGCONT)
        written = local.read_bytes()
        that(len(stream.data) < len(written), "the hub has got everything before the builder died")
        builder = TojiBuilder(w, "writer", own.toji)
        builder.says("uploaded the rest of logs of an earlier life")
        stream.join(60)
        that(not stream.is_alive(), "the reader of the first run goes on")
        that(bytes(stream.data) == written, f"the reader has {len(stream.data)} bytes, {len(written)} were written")
        second = Stream(w.ready["url"], task, "build.log", run=2)
        w.hub.wait(top, 120)
        second.join(60)
        eq(numbers(second.data), list(range(400)), "the lines of the second run")
        that(bytes(second.data) == whole(w, task), "the second run's log is not the task's")
        eq(second.runs, 2, "the runs of the task")
        address, path = w.server.address, f"/api/tasks/{task}/logs/build.log"
        eq(read(address, path, 1, 0), (True, 2, written), "the log of the first run, asked for later")
        that(whole(w, task, "build.log.1") == written, "downloadTaskOutput gives something else")
        eq(read(address, path, 3, 0)[:2], (False, 0), "a run that never was")
    finally:
        stop_all(w, builder)


def gc(w, own, *words):
    """Runs `toji gc` beside the server."""
    database = ["--database", w.server.database_url()] if Server.postgres else []
    none = w.dir / "koji-gc.conf"
    none.write_text("[main]\n")
    return run(Path(own.toji).resolve(), "gc", *words, "--config", none, "--data", w.server.data, *database)


def seen(w, task, nvr):
    """Every way of reading the logs of a task and of a build."""
    stats = w.hub.call("listTaskOutput", task, stat=True)
    found = {"stat": {name: (s["st_size"], s["st_mtime"]) for name, s in stats.items()}}
    urls = [f"work/tasks/{task % 10000}/{task}/{name}" for name in stats] + [log["path"] for log in w.hub.call("getBuildLogs", nvr)]
    for path in urls:
        url = f"{w.ready['files']}/{path}"
        with urllib.request.urlopen(url) as answer:
            found[path] = (answer.read(), [answer.headers[h] for h in ("etag", "last-modified", "content-length", "content-type")])
        part = urllib.request.Request(url, headers={"Range": "bytes=7-70"})
        with urllib.request.urlopen(part) as answer:
            found[path, "part"] = (answer.status, answer.headers["content-range"], answer.read())
        with urllib.request.urlopen(url.rsplit("/", 1)[0] + "/") as answer:
            found[path, "listing"] = re.findall(r'href="([^"]*\.log)".*class="n">(\d+)', answer.read().decode())
    for name in stats:
        found[name, "download"] = whole(w, task, name), w.hub.call("downloadTaskOutput", task, name, -100), w.hub.call("downloadTaskOutput", task, name, 5, 20)
        found[name, "api"] = read(w.server.address, f"/api/tasks/{task}/logs/{name}", 1, 10)
        found[name, "check"] = w.hub.call("checkUpload", f"tasks/{task % 10000}/{task}", name, verify="sha256")
    return found


@story(own=True, slow=True)
def compressed(own):
    """Logs are compressed in their places; every reader sees what it saw before; it can be taken back."""
    w = start(own, extra=())
    try:
        target = w.target("t")
        text = "n=0; set +x; while [ $n -lt 40000 ]; do echo a line of a log that repeats itself, $n times; n=$((n+1)); done"
        w.koji("add-pkg", "--owner", w.ready["admin_user"], target, "wordy")
        build = w.task_of(w.build(target, w.srpm("wordy", build=text)))
        scratch = w.task_of(w.build(target, w.srpm("wordy", "2.0", build=text), "--scratch"))
        tasks = [next(t["id"] for t in w.hub.call("getTaskDescendents", top)[str(top)] if t["method"] == "buildArch") for top in (build, scratch)]
        kept = [seen(w, task, "wordy-1.0-1") for task in tasks]
        logs = [path for place in ("packages", "scratch", "work") for path in w.topdir(place).rglob("build.log") if not path.is_symlink()]
        before = {path: text for path in logs if len(text := path.read_bytes()) > 1 << 20}
        eq(len(before), 2, f"the long logs of {logs}")
        eq(gc(w, own, "compress-logs").out, "", "what is done with young logs")
        has(gc(w, own, "compress-logs", "--compress-logs", "0 seconds", "--dry-run"), "would compress")
        eq({path: path.read_bytes() for path in before}, before, "the files after a dry run")
        said = gc(w, own, "compress-logs", "--compress-logs", "0 seconds")
        has(said, "compressed", "bytes have become")
        print(f"     {said.out.strip()}")
        for path, text in before.items():
            that(path.stat().st_size < len(text) / 10, f"{path} has {path.stat().st_size} bytes, its text has {len(text)}")
            eq(run("zstd", "-dc", "--", path).out, text.decode(), f"what zstd finds in {path}")
        for task, was in zip(tasks, kept):
            now = seen(w, task, "wordy-1.0-1")
            eq(sorted(map(str, now)), sorted(map(str, was)), "the logs")
            for key, value in was.items():
                that(now[key] == value, f"{key} differs when it is compressed:\n{now[key]!r:.300}\n{value!r:.300}")
        has(w.anonymous("watch-logs", str(tasks[0])), "a line of a log that repeats itself, 39999 times")
        has(gc(w, own, "expand-logs"), "expanded")
        eq({path: path.read_bytes() == text for path, text in before.items()}, dict.fromkeys(before, True), "the files afterwards")
    finally:
        w.server.stop()
