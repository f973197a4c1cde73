"""The demonstration: Toji started, two packages built through the whole chain, installed with dnf, and run.

It does what a stranger would do, through the public paths only, and says each step."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness.command import run  # noqa: E402
from harness.dnf import dnf, run_inside  # noqa: E402
from harness.hub import Hub  # noqa: E402
from harness.server import Server  # noqa: E402

BEGIN = time.monotonic()
# In the order in which they are built; the program is linked with the library, both need the C library.
EXAMPLES = ["toji-runtime", "toji-greeting-lib", "toji-hello"]
PROGRAM = "toji-hello"


def say(text):
    """One step, with the seconds since the start."""
    print(f"[{time.monotonic() - BEGIN:6.1f} s] {text}", flush=True)


def prepare(hub, admin, packages):
    """Makes the tags, the target, the group and the package list."""
    hub.call("createTag", "demo", arches="x86_64")
    hub.call("createTag", "demo-build", arches="x86_64", parent="demo")
    hub.call("createBuildTarget", "demo", "demo-build", "demo")
    for group in ("build", "srpm-build"):
        hub.call("groupListAdd", "demo-build", group)
    for name in packages:
        hub.call("packageListAdd", "demo", name, admin)
    say("made the tags demo and demo-build, the target demo, and listed " + ", ".join(packages))


def build(hub, source):
    """Uploads and builds a source package, to the repository that has it."""
    remote = hub.upload(source, f"cli-build/{time.time()}.{os.getpid()}")
    task = hub.call("build", remote, "demo", {})
    say(f"building {Path(source).name}: task {task}")
    hub.wait(task)
    (made,) = hub.call("listBuilds", taskID=task)
    rpms = ", ".join(f"{r['nvr']}.{r['arch']}" for r in hub.call("listRPMs", made["build_id"]))
    say(f"built and tagged {made['nvr']}: {rpms}")
    wanted = hub.call("tagLastChangeEvent", "demo-build")
    repo = hub.wait_request(hub.call("repo.request", "demo-build", min_event=wanted))
    say(f"repository {repo['id']} of demo-build has it")


def publish(hub, ready):
    """The address of the current repository of the destination tag."""
    wanted = hub.call("tagLastChangeEvent", "demo")
    repo = hub.wait_request(hub.call("repo.request", "demo", min_event=wanted))
    url = f"{ready['files']}/repos/demo/{repo['id']}/x86_64"
    say(f"published {url}")
    return url


def install(url, directory):
    """Installs into an empty root and runs the program."""
    root = directory / "root"
    dnf(root, url, "install", PROGRAM)
    installed = dnf(root, url, "-q", "list", "installed").out.splitlines()
    names = sorted(line.split(".")[0] for line in installed if "." in line)
    if PROGRAM not in names:
        raise RuntimeError(f"dnf did not install {PROGRAM}: {names}")
    say(f"dnf installed {', '.join(names)} into an empty root")
    output = run_inside(root, f"/usr/bin/{PROGRAM}").out.strip()
    if output != "Hello, world!":
        raise RuntimeError(f"/usr/bin/{PROGRAM} said {output!r}")
    say(f"/usr/bin/{PROGRAM} says: {output}")


def where_to_look(ready):
    """What a stranger can do now."""
    koji = " ".join(["koji", *ready["koji_args"]])
    print(f"""
Toji serves at {ready['url']}
  web page    {ready['web']}
  files       {ready['files']}
  hub         {ready['hub']}
  user        {ready['admin_user']}, password {ready['admin_password']}
  stock koji  {koji} list-tagged demo
""", flush=True)


def main():
    """Exit code 0 only if every step held."""
    parser = argparse.ArgumentParser(prog="./x demo", description=__doc__.splitlines()[0])
    parser.add_argument("--exit", action="store_true", help="stop after the result")
    parser.add_argument("--toji", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--data", help="keep the data in this directory (default: a temporary one)")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT to serve at (default: a free port)")
    options = parser.parse_args()
    # Whoever ends this program ends it as Control-C does: the server stops too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = Path(tempfile.mkdtemp(prefix="toji-demo-"))
    server = Server(options.toji, options.data or directory / "data", options.listen)
    code = 1
    try:
        server.start()
        say(f"toji up serves at {server.ready['url']}")
        demonstrate(server.ready, directory)
        where_to_look(server.ready)
        if not options.exit:
            print("Interrupt with Control-C to end it.", flush=True)
            server.process.wait()
            raise RuntimeError("toji up has ended by itself")
        ended = server.stop()
        if ended != 0:
            raise RuntimeError(f"toji up ended with {ended} when it was asked to stop")
        say("every step held")
        code = 0
    except KeyboardInterrupt:
        code = 0
    except Exception as error:
        print(f"demo: {error}\nthe end of the server's log, {server.log}:\n{server.log_tail()}", file=sys.stderr)
    finally:
        server.stop()
        if code == 0:
            shutil.rmtree(directory, ignore_errors=True)
    return code


def demonstrate(ready, directory):
    """Every step between the started server and the running program."""
    examples = HERE.parent / "examples"
    hub = Hub(ready["hub"]).login(ready["admin_user"], ready["admin_password"])
    prepare(hub, ready["admin_user"], EXAMPLES)
    for name in EXAMPLES:
        source = run(examples / "make-srpm", examples / name, directory / "sources").out.strip()
        build(hub, source)
    install(publish(hub, ready), directory)


if __name__ == "__main__":
    sys.exit(main())
