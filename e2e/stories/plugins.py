"""Plugins of `toji up`: task methods of builders, and a plugin that kills the hub in the middle of an import."""

import os
import time
from pathlib import Path

from harness.rpms import binary_rpm
from harness.server import Server, StartFailed
from harness.story import PASSWORD, eq, has, lacks, story, that

PROTOCOL = '''#!/usr/bin/python3
import json, os, signal, subprocess, sys, time
def read():
    line = sys.stdin.readline()
    return json.loads(line) if line else sys.exit(0)
def write(message):
    print(json.dumps(message), flush=True)
def call(method, *args):
    write({"call": {"method": method, "args": args}})
    answer = read()
    if "fault" in answer:
        raise RuntimeError(answer["fault"]["message"])
    return answer["result"]
settings = read()["hello"]["settings"]
'''

SPINNER = PROTOCOL + '''
write({"manifest": {"tasks": [{"name": "spin", "weight": 0.5}],
                    "calls": [{"name": "spin", "params": ["words", ["hang", False]], "access": "login"}]}})
while True:
    event = read()["event"]
    try:
        if event["kind"] == "call":
            words, hang = event["args"]
            write({"done": call("makeTask", "spin", [words, hang], )})
            continue
        task, (words, hang), named = event["args"]
        print("spinning", " ".join(words), file=sys.stderr, flush=True)
        if hang:
            child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            print("child", child.pid, file=sys.stderr, flush=True)
            child.wait()
        if words == ["fail"]:
            raise RuntimeError("no wool")
        with open("yarn.txt", "w") as file:
            file.write(settings["spin"]["colour"])
        call("builder.upload", "yarn.txt", "yarn.txt")
        child = call("builder.subtask", "sleep", [0], {"label": "rest"})
        call("builder.wait", [child])
        write({"done": {"task": task, "tag": call("getTag", 1, ), "words": len(words)}})
    except Exception as error:
        write({"error": str(error)})
'''

KNITTER = '''
task("knit", |id, params, named| {
    print("knitting for task " + id);
    let info = hub("getTaskInfo", [id]);
    #{ method: info.method, rows: params[0] + 1 }
});
'''

ASSASSIN = PROTOCOL + '''
write({"manifest": {"callbacks": ["postImport"]}})
while True:
    event = read()["event"]
    if event["args"][1]["type"] == "rpm":
        os.kill(os.getppid(), signal.SIGKILL)
    write({"done": None})
'''


def install(directory, **files):
    """Writes plugins; programs begin with `#!`."""
    directory.mkdir(parents=True)
    for name, text in files.items():
        program = text.startswith("#!")
        path = directory / (name if program or name.endswith("_conf") else f"{name}.rhai")
        if name.endswith("_conf"):
            path = directory / f"{name.removesuffix('_conf')}.conf"
        path.write_text(text)
        path.chmod(0o755 if program else 0o644)
    return directory


@story(own=True)
def tasks(own):
    """A program and a script do tasks: result, log, files, child tasks, failure, and the end of everything at a cancel."""
    folder = install(own.dir / "plugins", spinner=SPINNER, knitter=KNITTER, spinner_conf="[spin]\ncolour = red\n")
    server = Server(own.toji, own.dir / "server", extra=["--plugin-dir", str(folder)]).start()
    try:
        w = own.world(server)
        w.koji("add-tag", "f40")
        user = w.user()
        packager = w.new_hub().login(user, PASSWORD)
        task = packager.call("spin", ["a", "b"])
        w.hub.wait(task)
        result = w.hub.call("getTaskResult", task)
        eq((result["task"], result["words"], result["tag"]["name"]), (task, 2, "f40"))
        eq(w.hub.call("getTaskInfo", task)["owner"], w.hub.call("getUser", user)["id"], "the task's owner")
        has(output(w, task, "spin.log"), "spinning a b")
        eq(output(w, task, "yarn.txt"), "red")
        eq([t["method"] for t in w.hub.call("getTaskChildren", task)], ["sleep"])
        has(refusal(packager, "makeTask", "spin", [["a"], False]), "admin permission required")

        task = w.hub.call("spin", ["fail"])
        w.hub.wait(task, want="FAILED")
        has(refusal(w.hub, "getTaskResult", task), "no wool")

        task = w.hub.call("makeTask", "knit", [4])
        w.hub.wait(task)
        eq(w.hub.call("getTaskResult", task), {"method": "knit", "rows": 5})
        has(output(w, task, "knit.log"), f"knitting for task {task}")

        task = w.hub.call("spin", ["long"], True)
        deadline = time.monotonic() + 60
        while "child" not in output(w, task, "spin.log"):
            that(time.monotonic() < deadline, "the log of a running task is there")
            time.sleep(0.05)
        child = int(output(w, task, "spin.log").split("child ")[1].split()[0])
        that(os.path.exists(f"/proc/{child}"), "the child runs")
        w.koji("cancel", str(task))
        w.hub.wait(task, want="CANCELED")
        while os.path.exists(f"/proc/{child}"):
            that(time.monotonic() < deadline, "what a cancelled task started is killed")
            time.sleep(0.05)
        eq(server.stop(), 0, "the exit code after SIGTERM")
    finally:
        if server.alive():
            server.kill()


def output(w, task, name):
    """A file of a task, as far as it is there."""
    path = Path(w.topdir("work", "tasks", str(task % 10000), str(task), name))
    return path.read_text() if path.exists() else ""


def refusal(hub, method, *args):
    """The fault of a call that must fail."""
    try:
        answer = hub.call(method, *args)
    except Exception as error:
        return str(error)
    raise AssertionError(f"{method} answered {answer!r}")


@story(own=True)
def killed_in_an_import(own):
    """A hub that is killed after the files of an import were placed, within a multicall that wrote before, has none of them."""
    folder = install(own.dir / "plugins", assassin=ASSASSIN)
    server = Server(own.toji, own.dir / "server", extra=["--plugin-dir", str(folder)]).start()
    try:
        w = own.world(server)
        source, package = binary_rpm(w.dir, "victim")
        for rpm in (source, package):
            w.hub.upload(rpm, "cli-import/victim")
        calls = [{"methodName": "createTag", "params": ["before"]},
                 {"methodName": "importRPM", "params": ["cli-import/victim", source.name]}]
        try:
            w.hub.call("multiCall", calls)
        except Exception:
            pass
        server.process.wait(timeout=30)
        packages = Path(w.topdir("packages"))
        that(list(packages.rglob("*.rpm")), "the file was placed when the hub was killed")
        server.extra = []
        server.start()
        w = own.world(server)
        eq(list(packages.rglob("*.rpm")), [], "packages after the restart")
        eq(list(packages.parent.glob(".import-journal/*")), [], "notes after the restart")
        eq(w.hub.call("getTag", "before"), None)
        eq(w.hub.call("getBuild", "victim-1.0-1"), None)
        that((packages.parent / "work/cli-import/victim" / source.name).is_file(), "the upload is still there")
        for rpm in (source, package):
            w.hub.call("importRPM", "cli-import/victim", rpm.name)
        eq(len(list(packages.rglob("*.rpm"))), 2)
        eq(server.stop(), 0, "the exit code after SIGTERM")
    finally:
        if server.alive():
            server.kill()


@story(own=True)
def one_that_is_broken(own):
    """A plugin that cannot be loaded keeps the process from starting, and is named."""
    folder = install(own.dir / "plugins", broken="callback(")
    server = Server(own.toji, own.dir / "server", extra=["--plugin-dir", str(folder)])
    try:
        server.start()
    except StartFailed as error:
        has(str(error), "plugin broken")
        lacks(str(error), "web pages")
    else:
        server.kill()
        raise AssertionError("it started")
