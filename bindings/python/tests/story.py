"""The package against a hub: what users of txkoji write, awaited and waiting. Arguments: URL, user, password, directory, source package."""

import asyncio
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from toji_client import Connection, blocking, build_states, estimates, exceptions, messages, task_states

URL, USER, PASSWORD, HOME, SOURCE = sys.argv[1:]


def same(found, wanted, what):
    assert found == wanted, f"{what}: {found!r} is not {wanted!r}"


def options(name):
    return {"weburl": "https://koji.example.com/koji", "cache": f"{HOME}/{name}", "poll_interval": 0.2, "retry_interval": 0.1}


async def awaited():
    koji = Connection.to(URL, **options("one"))
    assert await koji.login(USER, PASSWORD) is True
    assert isinstance(koji.session_id, int) and koji.session_key
    me = await koji.getLoggedInUser()
    same(me.name, USER, "who am I")
    same(await koji.cache.user_name(me.id), USER, "a cached name")

    tag = await koji.createTag("py-build", arches="x86_64")
    same(await koji.cache.tag_name(tag), "py-build", "the name of a tag")
    same((await koji.getTag(tag)).name, "py-build", "a tag")
    try:
        await koji.createTag("py-build")
        raise SystemExit("a tag was made twice")
    except exceptions.GenericError as error:
        assert "py-build" in str(error), error
        same(error.faultCode, 1000, "the code")
    try:
        await koji.echo("x" * 10, 2**70)
        raise SystemExit("a number beyond 64 bits was sent")
    except OverflowError:
        pass
    assert issubclass(exceptions.AuthExpired, exceptions.AuthError) and issubclass(exceptions.AuthError, exceptions.GenericError)
    same(await koji.system.listMethods() is not None, True, "a call with a dot")

    await koji.createTag("py")
    await koji.packageListAdd("py", "ceph", USER)
    build_id = await koji.createEmptyBuild("ceph", "1.0", "1", None)
    build = await koji.getBuild(build_id)
    same((build.name, build.state, build.state_name), ("ceph", build_states.COMPLETE, "COMPLETE"), "a build")
    same(build.url, f"https://koji.example.com/koji/buildinfo?buildID={build_id}", "its page")
    assert isinstance(build.completed, datetime) and isinstance(build.duration, timedelta)
    same(await build.estimate_completion(), build.completed, "a finished build")
    same((build.task_id, await build.task(), build["task_id"]), (None, None, None), "its task")
    await koji.tagBuildBypass("py", build_id)
    same([tag.name for tag in await build.tags()], ["py"], "its tags")
    same([b.name for b in await koji.listBuilds("ceph")], ["ceph"], "builds of a package")
    same([b.nvr for b in await koji.listTagged("py")], ["ceph-1.0-1"], "builds of a tag")
    same((await koji.from_web(build.url)).id, build_id, "the object of a page")
    same(await koji.from_web("https://koji.example.com/koji/nothing?x=1"), None, "no page")
    same(await estimates.average_build_duration(koji, "nothing-container"), None, "an average of nothing")
    assert await koji.getBuild("none-1-1") is None

    task_id = await koji.makeTask("build", ["git+https://src.example.com/rpms/ceph.git#abc", "py-candidate", {"scratch": True}],
                                  arch="s390x")  # no host takes it
    task = await koji.getTaskInfo(task_id)
    same((task.package, task.target, task.is_scratch, task.state), ("ceph", "py-candidate", True, task_states.FREE), "a task")
    same(([host.enabled for host in await task.channel.hosts()], await task.descendents()), ([True], []), "hosts and tasks below")
    states = []
    async for change in koji.watch_tasks(task_id):
        states.append(change.state_name)
        if change.state == task_states.FREE:
            await koji.cancelTask(task_id)
    same(states, ["FREE", "CANCELED"], "what was watched")

    async with koji.multicall(batch=2) as calls:
        first, wrong, tags = calls.getTag("py"), calls.createTag("py"), calls.call("listTags", pattern="py*")
    same((first.result.name, len(tags.result)), ("py", 2), "results of a multicall")
    try:
        wrong.result
        raise SystemExit("a fault in a multicall was lost")
    except exceptions.GenericError:
        pass
    many = await asyncio.gather(*(koji.getTag("py") for _ in range(20)))
    same({t.name for t in many}, {"py"}, "calls side by side")

    frame = SimpleNamespace(headers={"type": "TaskStateChange", "new": "CLOSED"}, body=(
        '{"attribute": "state", "old": "OPEN", "new": "CLOSED", "info": {"id": 7, "method": "newRepo", "owner": %d, '
        '"request": ["py-build"]}}' % me.id))
    event = messages.TaskStateChange.from_frame(frame, koji)
    same((event.event, event.task.id, await event.tag(), await event.user()), ("CLOSED", 7, "py-build", USER), "a message")
    await koji.logout()
    same(await koji.getLoggedInUser(), None, "nobody is logged in")


def waiting():
    koji = blocking.Connection.to(URL, **options("two"))
    koji.login(USER, PASSWORD)
    same(koji.getTag("py").name, "py", "a tag")
    build = koji.getBuild("ceph-1.0-1")
    same([tag.name for tag in build.tags()], ["py"], "tags of a build")
    same(koji.cache.user_name(build.owner_id), USER, "a name")
    with koji.multicall(strict=True) as calls:
        tag = calls.getTag("py")
    same(tag.result.name, "py", "a multicall")
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "data"
        file.write_bytes(bytes(range(256)) * 12000)
        seen = []
        size, digest = koji.upload(str(file), "cli-build/py", progress=lambda done, total, _: seen.append((done, total)))
        same((size, seen[-1]), (3072000, (3072000, 3072000)), "an upload")
        fetched = koji.download("work/cli-build/py/data", str(Path(place) / "again"), size=size, sha256=digest)
        same(fetched, digest, "a download")
    task_id = koji.makeTask("sleep", [1], arch="s390x")
    changes = koji.watch_tasks(task_id)
    same(next(changes).method, "sleep", "a watched task")
    koji.cancelTask(task_id)
    same([t.state for t in changes], [task_states.CANCELED], "the end of it")
    koji.logout()


async def built():
    koji = Connection.to(URL, **options("three"))
    await koji.login(USER, PASSWORD)
    await koji.createTag("pyb", arches="x86_64")
    await koji.createTag("pyb-build", arches="x86_64", parent="pyb")
    await koji.createBuildTarget("pyb", "pyb-build", "pyb")
    for group in ("build", "srpm-build"):
        await koji.groupListAdd("pyb-build", group)
    await koji.packageListAdd("pyb", "pypkg", USER)
    await koji.upload(SOURCE, "cli-build/pyb")
    task_id = await koji.build(f"cli-build/pyb/{Path(SOURCE).name}", "pyb")
    task = None
    async for task in koji.watch_tasks(task_id):
        assert task.package == "pypkg", task.package
    if task.state != task_states.CLOSED:
        raise SystemExit(f"the build ended as {task.state_name}: {await koji.getTaskResult(task_id)}")
    build, = await koji.listTagged("pyb")
    same((build.nvr, build.task_id), ("pypkg-1.0-1", task_id), "the build")
    assert {"buildArch", "tagBuild"} <= {t.method for t in await (await koji.getTaskInfo(task_id)).descendents()}
    assert await estimates.average_last_builds(koji, "pypkg") is not None
    await koji.logout()


asyncio.run(awaited())
waiting()
asyncio.run(built())
print("all of it")
