"""The web pages in a real browser: they follow what happens, fit a telephone, and need neither scripts nor other hosts.

With TOJI_SCREENSHOTS=DIR the story leaves pictures of all pages there."""

import base64
import os
from pathlib import Path

from harness.browser import PALE, WIDE, Browser
from harness.server import Server
from harness.story import eq, has, lacks, story, that

from .workers import until

# Each half of an ä is written at another moment: readers get the letter whole.
LINES = 30
NOISE = f"set +x; n=0; while [ $n -lt {LINES} ]; do printf 'step %s \\303' $n; sleep .3; printf '\\244\\n'; n=$((n+1)); done; set -x"
SIZES = {"wide": (1280, 900), "phone": (400, 800)}


def address(w, path):
    """A page of the hub's."""
    return w.ready["url"].rstrip("/") + path


def at_ease(browser, what):
    """Nobody has complained, and nobody was asked but the hub."""
    eq(browser.complaints(), [], f"what the console says of {what}")


def looks(w, browser, pages):
    """All pages at the sizes of a desk and a telephone, in light and dark: titles, nothing that sticks out, nothing pale."""
    pictures = os.environ.get("TOJI_SCREENSHOTS")
    problems = []
    for name, path in pages.items():
        browser.open(address(w, path))
        title, headings, language = browser.run("return [document.title, document.querySelectorAll('h1').length, document.documentElement.lang]")
        if not title.replace("· Toji", "").strip() or headings != 1 or language != "en":
            problems.append(f"{name}: title {title!r}, {headings} main headings, language {language!r}")
        if (title.split(" ·")[0] in ("Not found", "That did not work")) != name.startswith("no"):
            problems.append(f"{name}: is {title!r}")
        for dark in (False, True):
            for size, (width, height) in SIZES.items() if pictures or not dark else [("wide", SIZES["wide"])]:
                browser.screen(width, height, dark)
                # Colours change no sizes.
                problems += [f"{name}, {size}: {e} sticks out" for e in browser.run(WIDE, width)] if not dark else []
                if pictures:
                    Path(pictures).mkdir(parents=True, exist_ok=True)
                    browser.picture(Path(pictures) / f"{name}-{size}{'-dark' * dark}.png")
            problems += [f"{name}{', dark' * dark}: pale: {e}" for e in browser.run(PALE)]
    browser.screen(*SIZES["wide"])
    eq(problems, [], "what is wrong with the pages")


@story(own=True, slow=True)
def browser(own):
    """Chromium on a new hub: empty pages, a build that shows itself on five pages without a reload, its log as it is written, and all of it without scripts."""
    server = Server(own.toji, own.dir / "hub").start()
    try:
        with Browser(own.dir / "browser") as browser:
            w = own.world(server)
            empty(w, browser)
            task = follows(w, browser)
            comes_back(w, browser)
            pages = all_pages(w, task)
            looks(w, browser, pages)
            misses(browser)
            hosts = {url.split("/")[2] for url in browser.asked() if url.startswith("http")}
            eq(hosts, {w.ready["url"].split("/")[2]}, "the hosts that were asked")
            plain(w, browser, pages)
    finally:
        server.stop()


def empty(w, browser):
    """A hub on which nothing has happened says so, and what to do."""
    browser.open(address(w, "/"))
    eq(browser.run("return location.pathname"), "/koji/", "the start page")
    has(browser.text(), "Nothing is running", "Nothing has been built yet")
    for path, text in (("builds", "No builds here"), ("tasks", "No tasks here"), ("tags", "There are no tags yet")):
        browser.click(f"nav a[href='/koji/{path}']")
        has(browser.wait("document.querySelector('.empty')?.innerText"), text)
    at_ease(browser, "the empty pages")


def follows(w, browser):
    """Five pages are open while a package is built: each shows it by itself."""
    target = w.target("t", ["talker"])
    w.hub.wait_repo(f"{target}-build")
    # A browser has six connections to a hub without TLS, and pages that are looked at have one each.
    wanted = {"home": "/koji/", "builds": "/koji/builds", "tag": f"/koji/taginfo?tagID={target}"}
    tabs = {name: browser.open(address(w, path), new=True) for name, path in wanted.items()}
    for tab in tabs.values():
        browser.show(tab)
        browser.wait("document.querySelector('main').dataset.events")
        browser.run("window.loadedOnce = true")
    source = w.hub.upload(w.srpm("talker", build=NOISE), "cli-build/talker")
    task = w.hub.call("build", source, target, {})
    tabs["task"] = browser.open(address(w, f"/koji/taskinfo?taskID={task}"), new=True)
    browser.run("window.loadedOnce = true")
    has(browser.wait("/ (open|free|assigned)/.test(document.querySelector('h1').innerText) && document.querySelector('h1').innerText"), str(task))
    for name in ("home", "builds"):
        browser.show(tabs[name])
        browser.wait("document.querySelector('main').innerText.includes('talker') && document.querySelector('.state.open, .state.building')")
    arch = until(lambda: next((t["id"] for t in w.hub.call("getTaskChildren", task) if t["method"] == "buildArch"), None), "task that builds")
    until(lambda: "build.log" in w.hub.call("listTaskOutput", arch), "log")
    tabs["log"] = browser.open(address(w, f"/koji/watchlog?taskID={arch}&name=build.log"), new=True)
    browser.run("window.loadedOnce = true")
    browser.wait("document.getElementById('status').innerText === 'live' && document.getElementById('log').innerText.includes('step 3 ä')")
    that(w.hub.call("getTaskInfo", arch)["state"] == 1, "the log was seen after the task had ended only")
    # Who looks at something else meanwhile misses nothing.
    browser.show(tabs["task"])
    w.hub.wait(task, 120)
    ends = {"task": "/ closed/.test(document.querySelector('h1').innerText) && document.body.innerText.includes('Result')",
            "log": "document.getElementById('status').innerText === 'complete'",
            "home": "document.querySelector('.empty')?.innerText.includes('Nothing is running') && document.querySelector('.state.complete')",
            "builds": "document.querySelector('td .state.complete')",
            "tag": "document.querySelector('main').innerText.includes('talker-1.0-1')"}
    for name, condition in ends.items():
        browser.show(tabs[name])
        browser.wait(condition)
        that(browser.run("return window.loadedOnce"), f"the page {name} was loaded again")
        at_ease(browser, f"the page {name}")
    browser.show(tabs["log"])
    shown = browser.run("return document.getElementById('log').textContent")
    eq([n for n in range(LINES) if f"step {n} ä\n" not in shown], [], "the lines that the log page lacks")
    eq(shown, base64.b64decode(w.hub.call("downloadTaskOutput", arch, "build.log")).decode(), "the log on its page")
    for name in list(tabs)[1:]:
        browser.show(tabs[name])
        browser.ask("DELETE", "/window")
    browser.show(tabs["home"])
    w.target_name, w.arch_task = target, arch
    return task


def comes_back(w, browser):
    """A page that is open while the hub dies and starts again follows what happens afterwards."""
    browser.open(address(w, "/koji/tasks"))
    browser.wait("document.querySelector('main').dataset.events")
    browser.run("window.loadedOnce = true")
    w.server.listen = w.server.address
    w.server.kill()
    w.server.start()
    w.renew()
    task = w.hub.call("makeTask", "sleep", [0], arch="noarch")
    browser.wait(f"document.querySelector('main').innerText.includes('{task}')", 60)
    that(browser.run("return window.loadedOnce"), "the page was loaded again")
    w.hub.wait(task, 60)
    lost = [c for c in browser.complaints() if "ERR_" not in c]
    eq(lost, [], "what the console says of a hub that starts again")


def all_pages(w, task):
    """Every kind of page, with something to show."""
    build = w.hub.call("listBuilds")[0]["build_id"]
    tag = f"{w.target_name}-build"
    repo = w.hub.call("getRepo", tag)["id"]
    return {"home": "/koji/", "builds": "/koji/builds", "build": f"/koji/buildinfo?buildID={build}", "tasks": "/koji/tasks",
            "task": f"/koji/taskinfo?taskID={task}", "arch-task": f"/koji/taskinfo?taskID={w.arch_task}",
            "log": f"/koji/watchlog?taskID={w.arch_task}&name=build.log", "tags": "/koji/tags", "tag": f"/koji/taginfo?tagID={w.target_name}",
            "repos": f"/koji/repos?tagID={tag}", "repo": f"/koji/repoinfo?repoID={repo}", "hosts": "/koji/hosts",
            "calls": "/koji/api", "call": "/koji/api/listTagged", "files": "/kojifiles/",
            "no-task": "/koji/taskinfo?taskID=999999", "nonsense": "/koji/taskinfo?taskID=all", "no-page": "/koji/none"}


def misses(browser):
    """The console names what is not there, and nothing else."""
    said = browser.complaints()
    eq([c for c in said if "status of 404" not in c and "status of 400" not in c], [], "what the console says of all pages")


def plain(w, browser, pages):
    """Without scripts every page has its content, and the log page leads to the whole file."""
    said = {"home": "talker-1.0-1", "builds": "complete", "build": "talker-1.0-1.noarch.rpm", "tasks": "talker", "task": "Result", "tags": w.target_name,
            "tag": "talker-1.0-1", "repos": "ready", "repo": "Why it was made", "hosts": "x86_64", "calls": "listTagged", "call": "curl",
            "no-task": "There is no task 999999", "log": "needs JavaScript"}
    browser.asked()
    browser.scripts(False)
    try:
        for name, text in said.items():
            browser.open(address(w, pages[name]))
            has(browser.text("main"), text)
        browser.open(address(w, pages["log"]))
        lacks(browser.text("main"), "connecting", "live\n")
        browser.click(".filter a")
        has(browser.wait("document.body.innerText.includes('step 0') && document.body.innerText"), f"step {LINES - 1} ä")
        eq([url for url in browser.asked() if url.startswith(address(w, "/api/")) or url.endswith(".js")], [], "what was asked for without scripts")
    finally:
        browser.scripts(True)
