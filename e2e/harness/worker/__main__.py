"""A builder on the stock client library, as a site with its own kinds of tasks would write one.

It is run by the interpreter that has the library (`python e2e/harness/worker OPTIONS`), registers nothing by itself, and works
by polling as koji.daemon does: everything that reaches the hub goes through the library's own session, task manager and uploads."""

import argparse
import faulthandler
import logging
import os
import signal
import sys
import time

import koji
from koji.daemon import TaskManager
from koji.tasks import BaseTaskHandler, RestartTask, ServerExit, ServerRestart, ShutdownTask, SleepTask, WaitrepoTask

import others
import packages
import repositories
import small


def parse():
    """The options; the names below are those that the library reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("server", "topurl", "user", "password", "workdir", "calls"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--topdir", default="/mnt/koji")
    parser.add_argument("--sleeptime", type=float, default=0.3)
    parser.add_argument("--maxjobs", type=int, default=10)
    parser.add_argument("--slow-upload", action="store_true", help="upload by calls with base64 instead of raw bodies")
    options = parser.parse_args()
    options.minspace, options.mockdir = 0, options.workdir
    os.makedirs(options.workdir, exist_ok=True)
    return options


def record(path):
    """Has the library note the name of each call that reached the hub and was answered without a fault."""
    original = koji.ClientSession._sendCall

    def noted(self, handler, headers, request):
        result = original(self, handler, headers, request)
        name = request.split(b"<methodName>", 1)[-1].split(b"</methodName>")[0] if isinstance(request, bytes) else \
            request.split("<methodName>", 1)[-1].split("</methodName>")[0].encode()
        if len(name) < 100:
            with open(path, "ab", buffering=0) as file:
                file.write(name + b"\n")
        return result

    koji.ClientSession._sendCall = noted


def handlers():
    """Ours, and those of the library that need nothing of kojid."""
    yield from (SleepTask, WaitrepoTask, RestartTask, ShutdownTask)
    for module in (packages, repositories, small, others):
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, BaseTaskHandler) and item is not BaseTaskHandler:
                yield item


def serve(manager, pause):
    """Takes tasks until it is told to end; returns the exit code."""
    while True:
        try:
            manager.updateBuildroots(nolocal=True)
            manager.updateTasks()
            if not manager.getNextTask():
                time.sleep(pause)
        except (SystemExit, KeyboardInterrupt, ServerExit):
            return 0
        except ServerRestart:
            return 75
        except koji.AuthError:
            logging.exception("no longer welcome")
            return 1
        except Exception:
            logging.exception("going on")
            time.sleep(pause)


def main():
    """Logs in as the host, works, and gives back what is unfinished."""
    options = parse()
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s: %(message)s")
    koji.BASEDIR = koji.pathinfo.topdir = options.topdir
    record(options.calls)
    # The machine runs other stories too; how busy it is does not matter here.
    os.getloadavg = lambda: (0.0, 0.0, 0.0)
    session = koji.ClientSession(options.server, {
        "user": options.user, "password": options.password, "use_fast_upload": not options.slow_upload,
        "retry_interval": 1, "max_retries": 30, "offline_retry": True, "offline_retry_interval": 1, "timeout": 60})
    session.login()
    session.exclusiveSession(force=True)
    manager = TaskManager(options, session)
    for handler in handlers():
        manager.registerHandler(handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGUSR1, lambda *_: setattr(manager, "restart_pending", True))
    code = serve(manager, options.sleeptime)
    manager.shutdown()
    session.logout()
    sys.exit(code)


if __name__ == "__main__":
    main()
