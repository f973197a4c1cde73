"""A real browser: Chromium without a screen, told what to do by its driver's protocol (W3C WebDriver over HTTP, and Chromium's own commands).

A dozen requests are needed, so the driver is spoken to without a library."""

import base64
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from .command import CommandFailed

# In the page: resolves when the condition holds, looking again whenever the page may have changed.
WAIT = """
const [condition, limit, done] = arguments;
const holds = new Function("return (" + condition + ")");
const end = Date.now() + limit;
const look = () => {
  let found; try { found = holds(); } catch (problem) { found = undefined; }
  if (found) return done(found);
  if (Date.now() > end) return done(null);
  setTimeout(look, 30);
};
look();
"""

# In the page: texts whose contrast with what is behind them is below what WCAG 2.1 asks for (AA, 4.5).
PALE = """
const numbers = (color) => { const n = color.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const light = (rgb) => rgb.slice(0, 3).map((c) => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
  .reduce((sum, c, at) => sum + c * [.2126, .7152, .0722][at], 0);
const ground = (of) => { for (; of; of = of.parentElement) { const c = numbers(getComputedStyle(of).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
const found = new Set();
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const of = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !of.checkVisibility() || of.closest("script, noscript")) continue;
  const [a, b] = [light(numbers(getComputedStyle(of).color)), light(ground(of))].sort((x, y) => y - x);
  const ratio = (a + .05) / (b + .05);
  if (ratio < 4.5) found.add(of.tagName + "." + of.className + " " + ratio.toFixed(2) + ": " + walk.currentNode.data.trim().slice(0, 40));
}
return [...found];
"""

# In the page: what sticks out to the right of it.
WIDE = """
const width = arguments[0];
if (document.documentElement.scrollWidth <= width) return [];
return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1)
  .map((e) => e.tagName + "." + e.className + " to " + Math.round(e.getBoundingClientRect().right)).slice(0, 8);
"""


class Browser:
    """A running Chromium with one or more pages; use it as a context. `host` is the only one that it may ask."""

    def __init__(self, directory, host="127.0.0.1"):
        self.dir, self.host, self.session = Path(directory), host, None

    def __enter__(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        program = shutil.which("chromedriver") or "/usr/lib64/chromium-browser/chromedriver"
        env = {**os.environ, "HOME": str(self.dir), "XDG_CONFIG_HOME": str(self.dir / "config"), "XDG_CACHE_HOME": str(self.dir / "cache")}
        self.log = open(self.dir / "driver.log", "w+")
        self.driver = subprocess.Popen([program, "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
                                       text=True, env=env, start_new_session=True)
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def begin(self):
        """Learns the driver's port, and starts the browser."""
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                break
        else:
            raise CommandFailed(f"the driver of the browser does not start: see {self.log.name}")
        self.base = f"http://127.0.0.1:{found[1]}/session"
        words = ["--headless=new", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
                 "--disable-gpu", "--disable-extensions", "--hide-scrollbars", "--window-size=1280,900", f"--user-data-dir={self.dir / 'profile'}",
                 f"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE {self.host}"]
        if os.getuid() == 0:
            words.append("--no-sandbox")
        wanted = {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}, "goog:chromeOptions": {"args": words}}
        self.session = self.ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self.base += f"/{self.session}"
        self.ask("POST", "/timeouts", {"script": 120_000})

    def __exit__(self, *_):
        if self.session:
            try:
                self.ask("DELETE", "")
            except (CommandFailed, OSError):
                pass
        self.driver.kill()
        self.driver.wait()
        self.driver.stdout.close()
        self.log.close()

    def ask(self, method, path, data=None):
        """One request of the driver's protocol; its answer."""
        body = None if method in ("GET", "DELETE") else json.dumps(data or {}).encode()
        request = urllib.request.Request(self.base + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            raise CommandFailed(f"the browser: {problem.read().decode(errors='replace')[:2000]}") from None

    def command(self, name, **words):
        """A command of Chromium's own protocol, about the page in front."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": name, "params": words})

    def open(self, url, new=False):
        """Loads a page, in a tab of its own if `new`; returns the tab."""
        if new:
            self.show(self.ask("POST", "/window/new", {"type": "tab"})["handle"])
        self.ask("POST", "/url", {"url": url})
        return self.ask("GET", "/window")

    def show(self, tab):
        """Brings a tab to the front."""
        self.ask("POST", "/window", {"handle": tab})

    def run(self, script, *words):
        """Runs a script in the page; what it returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(words)})

    def wait(self, condition, seconds=30):
        """Waits until an expression of the page's is true, and returns it."""
        found = self.ask("POST", "/execute/async", {"script": WAIT, "args": [condition, seconds * 1000]})
        if not found:
            raise CommandFailed(f"after {seconds} s this does not hold: {condition}\nthe page {self.run('return location.href')} is:\n{self.text()}")
        return found

    def text(self, of="body"):
        """The text of the page as a reader sees it."""
        return self.run("return document.querySelector(arguments[0])?.innerText", of)

    def click(self, selector):
        """Clicks as a user does: it fails if something lies over the place."""
        element = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        self.ask("POST", f"/element/{next(iter(element.values()))}/click")

    def screen(self, width, height, dark=False):
        """The size of the screen, and whether its user likes it dark."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        value = "dark" if dark else "light"
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def scripts(self, allowed):
        """Whether pages that are loaded from now on may run scripts."""
        self.command("Emulation.setScriptExecutionDisabled", value=not allowed)

    def picture(self, path):
        """Writes the whole page as a PNG file."""
        shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def complaints(self):
        """What the console has had since it was asked last: errors and warnings of scripts, refused and failed requests."""
        entries = self.ask("POST", "/se/log", {"type": "browser"})
        return [e["message"] for e in entries if e["level"] in ("SEVERE", "WARNING")]

    def asked(self):
        """The addresses that were asked for since this was called last."""
        events = (json.loads(e["message"])["message"] for e in self.ask("POST", "/se/log", {"type": "performance"}))
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
