"""Events at real brokers: Fedora's messages at RabbitMQ, heard with fedora-messaging; Toji's own there and at NATS, through kills."""

import contextlib
import json
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from harness.authority import Authority
from harness.brokers import Nats, Rabbit
from harness.command import run
from harness.hub import Hub
from harness.server import Server
from harness.story import eq, has, story, that
from stories.signatures import imported, key, signed
from stories.upstream import ROOT

PYTHON = ROOT / ".x" / "listeners" / "bin" / "python"
HERE = Path(__file__).resolve().parent.parent / "harness"
SCHEMAS = "koji_fedoramessaging_messages"


def configured(own, relays, plugins=""):
    """A server, not started, whose data directory has relays."""
    server = Server(own.toji, own.dir / "server")
    server.data.mkdir(parents=True)
    (server.data / "hub.conf").write_text(f"[hub]\nPlugins = {plugins}\n[toji]\nRelays = {server.data}/relays.conf\n")
    conf = server.data / "relays.conf"
    conf.touch(0o600)
    conf.write_text(sections(relays))
    return server


def sections(relays):
    """The text of `relays.conf`."""
    return "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in options.items()) for name, options in relays.items())


@contextlib.contextmanager
def listening(directory, url):
    """The listener as a process; gives a function that waits for a message."""
    directory.mkdir()
    with open(directory / "log", "ab") as log:
        command = [PYTHON, "-W", "ignore", HERE / "fedora_listener.py", url, directory]
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def heard():
        return [json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))]

    def wait(topic, **wanted):
        deadline = time.monotonic() + 60
        while True:
            for message in heard():
                if message["topic"] == f"org.example.test.buildsys.{topic}" and wanted.items() <= message["body"].items():
                    return message
            late = time.monotonic() > deadline or process.poll() is not None
            that(not late, f"no {topic} {wanted}: {[(m['topic'], m['body']) for m in heard()]}\n{(directory / 'log').read_text()[-3000:]}")
            time.sleep(0.05)
    try:
        yield wait, heard
    finally:
        process.kill()
        process.wait()


@story(own=True, slow=True)
def fedora_messaging(own):
    """A listener written with fedora-messaging hears a build, a scratch build, tags, package lists, repositories and signatures, each as
    the schema class that Fedora's plugin would have sent, with its headers, and valid."""
    with Rabbit(own.dir / "rabbit") as rabbit, listening(own.dir / "heard", rabbit.url) as (wait, heard):
        relay = {"Url": rabbit.url, "Format": "fedora", "TopicPrefix": "org.example.test"}
        server = configured(own, {"fedora": relay}, "koji-fedoramessaging").start()
        try:
            w = own.world(server)
            admin = w.ready["admin_user"]
            pkg = w.name("pkg")
            target = w.target("t", [pkg])
            listed = wait("package.list.change", package=pkg)
            eq((listed["body"]["tag"], listed["body"]["action"], listed["body"]["owner"]), (target, "add", admin))
            task = w.task_of(w.build(target, w.srpm(pkg)))
            build = w.hub.call("getBuild", f"{pkg}-1.0-1")
            begun = wait("build.state.change", name=pkg, new=0)
            done = wait("build.state.change", name=pkg, new=1)
            eq((begun["body"]["old"], done["body"]["old"], done["body"]["build_id"]), (None, 0, build["id"]), "the states")
            eq((done["body"]["task_id"], done["body"]["request"][1], done["body"]["task"]["id"]), (task, target, task), "the task")
            eq((done["body"]["owner"], done["body"]["instance"]), (admin, "primary"))
            has(done["text"], f"{pkg}-1.0-1", f"Task {task} on", "buildArch")
            tagged = wait("tag", name=pkg, tag=target)
            eq((tagged["priority"], tagged["body"]["user"], tagged["usernames"]), (2, admin, [admin, admin]), "who tagged it")
            w.koji("untag-build", target, f"{pkg}-1.0-1")
            wait("untag", name=pkg)
            scratch = w.task_of(w.build(target, w.srpm(pkg), "--scratch"))
            ended = wait("task.state.change", id=scratch, new="CLOSED")
            eq((ended["body"]["old"], ended["body"]["method"], ended["body"]["srpm"]), ("OPEN", "build", f"{pkg}-1.0-1.src.rpm"))
            eq(len(ended["body"]["info"]["children"]) > 0, True, "children of the scratch build")
            that(ended["body"]["info"]["children"][0]["host_name"], "a child has no host")
            w.koji("request-repo", "--wait", "--timeout", "2", f"{target}-build")
            home, sigkey = key(w)
            _, binary = imported(w, "sig")
            w.koji("import-sig", signed(w, home, binary))
            sign = wait("rpm.sign", sigkey=sigkey)
            eq((sign["body"]["rpm"]["arch"], sign["body"]["build"]["owner_name"]), ("noarch", admin), "what was signed")
            w.koji("regen-repo", "--wait", "--make-task", f"{target}-build")
            repo = wait("repo.done", tag=f"{target}-build")
            wait("repo.init", repo_id=repo["body"]["repo_id"])
            all_heard = heard()
            that(not [m for m in all_heard if m["topic"].endswith("task.state.change") and m["body"]["id"] == task], "told of a build that is no scratch build")
            for message in all_heard:
                has(message["class"], SCHEMAS)
                # The class itself would send these headers, but for the time.
                fresh, sent = message["fresh"], message["headers"]
                for headers in (fresh, sent):
                    headers.pop("sent-at")
                    headers.pop("priority")
                eq(sent, fresh, f"the headers of {message['topic']}")
            classes = {m["class"].rsplit(".", 1)[1] for m in all_heard}
            eq(classes, {"BuildStateChangeV1", "TaskStateChangeV1", "TagV1", "UntagV1", "InitV1", "DoneV1", "SignV1", "ListChangeV1"}, "the classes")
            ids = [m["id"] for m in all_heard]
            eq(len(ids), len(set(ids)), "the number of ids")
            eq(server.stop(), 0, "the exit code after SIGTERM")
        finally:
            if server.alive():
                server.kill()


def told(server):
    """Number and key of each event that the hub has, by its own stream."""
    found = []
    with urllib.request.urlopen(f"{server.ready['url']}/api/events?after=0", timeout=60) as stream:
        for line in stream:
            if not line.startswith(b"data: "):
                continue
            event = json.loads(line[6:])
            found.append((event["seq"], event["key"]))
            if event["body"].get("tag") == "the-end":
                return found
    raise AssertionError("the stream ended")


def check(what, lines, events, first):
    """Everything is there, and of each object in order; repetitions have the same id."""
    seen, ids, newest = {}, {}, {}
    for line in map(json.loads, lines.splitlines()):
        seq, name = line["seq"], line["key"]
        eq(ids.setdefault(seq, line["id"]), line["id"], f"{what}: the id of a repetition of {seq}")
        if seq not in seen:
            that(seq > newest.get(name, 0), f"{what}: {seq} of {name} came after {newest.get(name)}")
            newest[name] = seq
        seen[seq] = name
    wanted = {seq: name for seq, name in events if seq >= first}
    missing = sorted(wanted.keys() - seen.keys())
    eq(missing, [], f"{what}: events that are missing")
    repeated = len(lines.splitlines()) - len(seen)
    print(f"    {what}: {len(wanted)} events, {repeated} repetitions", flush=True)


@story(own=True, slow=True)
def nothing_is_lost(own):
    """Hub and brokers are killed again and again while things happen: both brokers have every event, of each object in order."""
    with Rabbit(own.dir / "rabbit") as rabbit, Nats(own.dir / "nats") as nats:
        run(PYTHON, HERE / "drain.py", "declare", rabbit.url)
        server = configured(own, {
            "rabbit": {"Url": rabbit.url, "Timeout": 5}, "nats": {"Url": nats.url, "Stream": "KOJI", "Timeout": 5},
        })
        server.extra += ["--no-builder"]
        server.start()
        server.listen = server.address
        try:
            admin, password = server.ready["admin_user"], server.ready["admin_password"]
            hub = Hub(server.ready["hub"]).login(admin, password)
            registered(server)
            tags = [hub.call("createTag", f"tag{n}") for n in range(4)]
            made, stop, begun = [], threading.Event(), threading.Event()

            def work():
                """Changes the tags until the end; what fails because the hub is dead is tried again under another name."""
                n, session = 0, None
                while not stop.is_set():
                    try:
                        session = session or Hub(server.ready["hub"]).login(admin, password)
                        session.call("packageListAdd", tags[n % 4], f"pkg{n}", admin)
                        made.append(n)
                        begun.set()
                    except Exception:
                        session = None
                        stop.wait(0.05)
                    n += 1

            worker = threading.Thread(target=work)
            worker.start()
            try:
                begun.wait(30)
                for victim in (server, rabbit, server, nats, server, rabbit, nats, server):
                    target = len(made) + 25
                    deadline = time.monotonic() + 60
                    while len(made) < target:
                        that(time.monotonic() < deadline, "nothing is done")
                        time.sleep(0.01)
                    victim.kill()
                    victim.start()
            finally:
                stop.set()
                worker.join()
            hub = Hub(server.ready["hub"]).login(admin, password)
            hub.call("createTag", "the-end")
            events = told(server)
            eq([seq for seq, _ in events], list(range(1, len(events) + 1)), "the numbers")
            last = events[-1][0]
            deadline = time.monotonic() + 90
            while True:
                rows = positions(server)
                if set(rows.values()) == {last} and len(rows) == 2:
                    break
                that(time.monotonic() < deadline, f"the relays are at {rows}, not at {last}\n{server.log_tail()}")
                time.sleep(0.1)
            # Relays begin with what happens once they are known: the tags at the latest.
            first = next(seq for seq, name in events if name == f"tag:{tags[0]}")
            check("RabbitMQ", run(PYTHON, HERE / "drain.py", "read", rabbit.url, timeout=120).out, events, first)
            check("JetStream", run(PYTHON, HERE / "drain.py", "nats", nats.url, "KOJI", timeout=120).out, events, first)
        finally:
            server.kill()


def positions(server):
    """How far each relay has come."""
    text = server.query("SELECT name || ' ' || seq FROM toji_outbox_reader")
    return {name: int(seq) for name, seq in (line.split() for line in text)}


def registered(server):
    """Waits until the relays to both brokers are known, which they are a moment after the hub serves: they send what happens from then on."""
    deadline = time.monotonic() + 30
    while len(positions(server)) < 2:
        that(time.monotonic() < deadline, f"the relays do not begin\n{server.log_tail()}")
        time.sleep(0.02)


@story(own=True, slow=True)
def encrypted(own):
    """Relays speak TLS to both brokers, which want a certificate of them. With somebody else's authority, or without a certificate, nothing is sent
    and the log says why; with the right files everything arrives, also what happened before."""
    good, other = Authority(own.dir / "ca"), Authority(own.dir / "other", "Somebody Else")
    good.issue("broker", "server")
    good.issue("hub")
    tls, client = ([good.ca, good.dir / f"{name}.crt", good.dir / f"{name}.key"] for name in ("broker", "hub"))
    with Rabbit(own.dir / "rabbit", tls) as rabbit, Nats(own.dir / "nats", tls) as nats:
        run(PYTHON, HERE / "drain.py", "declare", rabbit.url)

        def relays(**options):
            common = {"Timeout": 5, **options}
            return {"rabbit": {"Url": rabbit.tls_url, **common}, "nats": {"Url": nats.tls_url, "Stream": "KOJI", **common}}

        ours = {"Certificate": client[1], "Key": client[2]}
        server = configured(own, {})
        server.extra += ["--no-builder"]
        login = []

        def begin(tag, **options):
            """Starts with these options and makes a tag; returns where the log of this start begins."""
            (server.data / "relays.conf").write_text(sections(relays(**options)))
            begun = server.log.stat().st_size if server.log.exists() else 0
            server.start()
            server.listen = server.address
            login.extend([] if login else [server.ready["admin_user"], server.ready["admin_password"]])
            registered(server)
            Hub(server.ready["hub"]).login(*login).call("createTag", tag)
            return begun

        def waits(what, done):
            deadline = time.monotonic() + 60
            while not done():
                that(time.monotonic() < deadline, f"{what}\n{server.log_tail()}")
                time.sleep(0.1)

        def logged(begun, *words):
            lines = server.log.read_bytes()[begun:].decode(errors="replace").splitlines()
            return any(all(word in line for word in words) for line in lines)

        try:
            for tag, options, reasons in [
                ("first", {"Authorities": other.ca, **ours}, ("UnknownIssuer", "UnknownIssuer")),
                ("second", {"Authorities": good.ca}, ("could not be sent", "could not be sent")),
            ]:
                begun = begin(tag, **options)
                for port, reason in zip((rabbit.tls_port, nats.port), reasons):
                    waits(f"no line for {port} with {reason}", lambda: logged(begun, f"localhost:{port}", reason))
                eq(run(PYTHON, HERE / "drain.py", "read", rabbit.url).out, "", "what was sent")
                server.kill()
            begin("the-end", Authorities=good.ca, **ours)
            events = told(server)
            waits("the relays are late", lambda: positions(server) == {"rabbit": events[-1][0], "nats": events[-1][0]})
            first = next(seq for seq, name in events if name.startswith("tag:"))
            check("RabbitMQ", run(PYTHON, HERE / "drain.py", "read", rabbit.url, timeout=120).out, events, first)
            check("JetStream", run(PYTHON, HERE / "drain.py", "nats", nats.tls_url, "KOJI", *tls[:1], *client[1:], timeout=120).out, events, first)
        finally:
            server.kill()
