"""Client libraries of others: the stock library and txkoji, from PyPI, with the real reactor."""

from pathlib import Path

from harness.command import run
from harness.story import eq, has, story
from stories.upstream import ROOT

# What a user of the stock library writes: submit, in a multicall too, watch, and read the result.
STOCK = """
import sys, time, koji
url, user, password, name = sys.argv[1:]
session = koji.ClientSession(url, {"user": user, "password": password})
session.login()
with session.multicall(strict=True) as calls:
    tag, package = calls.createTag(name), calls.packageListAdd(name, name, user)
task = session.makeTask("sleep", [0], arch="noarch")
while not session.taskFinished(task):
    time.sleep(0.1)
session.getTaskResult(task)
try:
    session.createTag(name)
except koji.GenericError as error:
    assert name in str(error) and error.faultCode == 1000, error
build = session.createEmptyBuild(name, "1.0", "1", None)
session.tagBuildBypass(name, build)
print(tag.result, task, build)
session.logout()
"""

# The examples of txkoji's documentation, and the objects it makes.
TXKOJI = """
import configparser
import sys
import twisted.web.xmlrpc
# What these were called when txkoji was released.
configparser.SafeConfigParser = configparser.ConfigParser
twisted.web.xmlrpc._QueryFactory = twisted.web.xmlrpc.QueryFactory
from twisted.internet import defer
from twisted.internet.task import deferLater, react
from txkoji import Connection, build_states, task_states
from txkoji.estimates import average_build_duration, average_last_builds
from txkoji.exceptions import KojiException
name, tag_id, task_id, build_id = sys.argv[1], *map(int, sys.argv[2:])


@defer.inlineCallbacks
def example(reactor):
    koji = Connection("toji")
    user = yield koji.getUser(1)
    cached = yield koji.cache.user_name(1)
    assert cached == user.name and cached
    tag = yield koji.getTag(tag_id)
    cached = yield koji.cache.tag_name(tag_id)
    assert tag.name == cached == name, (tag, cached)
    task = yield koji.getTaskInfo(task_id)
    while task.state not in task_states.DONE_GROUP:
        yield deferLater(reactor, 0.1, lambda: None)
        task = yield koji.getTaskInfo(task_id)
    assert (task.method, task.params, task.state) == ("sleep", [0], task_states.CLOSED), task
    assert task.completed >= task.started >= task.created and task.duration is not None
    assert task.url.endswith("/taskinfo?taskID=%d" % task_id), task.url
    completed = yield task.estimate_completion()
    assert completed == task.completed
    result = yield koji.getTaskResult(task_id)
    build = yield koji.getBuild(build_id)
    assert (build.name, build.state) == (name, build_states.COMPLETE) and build.completed
    tags = yield build.tags()
    assert [t.name for t in tags] == [name]
    builds = yield koji.listBuilds(name)
    assert [b.build_id for b in builds] == [build_id]
    same = yield koji.from_web(build.url)
    assert same.build_id == build_id
    average = yield average_last_builds(koji, name)
    assert average is not None
    yield average_build_duration(koji, name)
    channel = yield koji.getChannel("default")
    capacity = yield channel.total_capacity()
    assert capacity > 0
    package = yield koji.getPackage(name)
    assert package.url.endswith("packageID=%d" % package.id)
    tasks = yield koji.listTasks({"method": "sleep", "id": task_id})
    assert [t.id for t in tasks] == [task_id]
    try:
        yield koji.getTag(10**9, strict=True)
        raise AssertionError("a tag that is not there")
    except KojiException as error:
        assert str(10**9) in str(error), error
    print("txkoji read it all")


react(example)
"""


@story()
def stock_and_txkoji(w):
    """The stock library submits, watches and reads; txkoji, on Twisted, reads the same, with its objects, cache and estimates."""
    name = w.name("lib")
    stock = Path(w.koji_program).parent / "python"
    made = run(stock, "-W", "ignore", "-c", STOCK, w.ready["hub"], w.ready["admin_user"], w.ready["admin_password"], name, timeout=120)
    tag, task, build = made.out.split()
    eq(w.hub.call("getTaskInfo", int(task))["state"], 2, "the task's state")
    home = w.dir / "home"
    (home / ".koji" / "config.d").mkdir(parents=True)
    weburl = w.ready["hub"].replace("/kojihub", "/koji")
    (home / ".koji" / "config.d" / "toji.conf").write_text(f"[toji]\nserver = {w.ready['hub']}\nweburl = {weburl}\n")
    txkoji = ROOT / ".x" / "txkoji" / "bin" / "python"
    env = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    has(run(txkoji, "-W", "ignore", "-c", TXKOJI, name, tag, task, build, env=env, timeout=120), "txkoji read it all")
