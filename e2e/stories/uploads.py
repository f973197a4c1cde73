"""Uploads of results: in parts side by side, resumed after a cut, checked by SHA-256; by Koji's calls, too."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import random

from harness.builders import PASSWORD, TojiBuilder, add_host
from harness.command import run
from harness.fronts import CuttingFront, KojiFront
from harness.story import eq, has, story, that

from .workers import HOST_CALLS, make_task, start, stop_all, until

MIB = 1 << 20
# More than most packages have.
LARGE = int(os.environ.get("TOJI_E2E_UPLOAD_MIB", "200"))


class Sender:
    """Uploads to `/api/uploads` with the token of a task."""

    def __init__(self, address, task, token, data, name, sha256=None):
        self.address, self.token, self.data = address, token, data
        self.sha256 = sha256 or hashlib.sha256(data).hexdigest()
        self.path = f"/api/uploads/{task}/{name}?size={len(data)}&sha256={self.sha256}"

    def ask(self, method, offset=None, body=b"", sha256=None):
        """Sends one request; returns status and answer."""
        headers, path = {"Authorization": f"Bearer {self.token}"}, self.path
        if offset is not None:
            headers["x-part-sha256"] = sha256 or hashlib.sha256(body).hexdigest()
            path += f"&offset={offset}"
        link = http.client.HTTPConnection(self.address, timeout=120)
        try:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if answer.status == 200 else text
        finally:
            link.close()

    def part(self, offset, length=8 * MIB):
        """Sends a part of the file."""
        return self.ask("PUT", offset, self.data[offset:offset + length])

    def torn(self, offset, length=8 * MIB):
        """Begins a part and hangs up in the middle of it."""
        body = self.data[offset:offset + length]
        link = http.client.HTTPConnection(self.address, timeout=120)
        link.putrequest("PUT", f"{self.path}&offset={offset}")
        for name, value in (("Authorization", f"Bearer {self.token}"), ("Content-Length", str(len(body))),
                            ("x-part-sha256", hashlib.sha256(body).hexdigest())):
            link.putheader(name, value)
        link.endheaders()
        link.send(body[:len(body) // 2])
        link.close()


def held_task(w, name):
    """A task that the host has open, with a token for its files."""
    add_host(w, name)
    hub = w.new_hub().login(name, PASSWORD)
    hub.call("exclusiveSession")
    task = make_task(w, "sleep", 0)
    until(lambda: hub.call("host.openTask", task), "opening of the task")
    return task, hub, hub.call("host.uploadToken", task)["token"]


@story(own=True, slow=True)
def parts(own):
    """A large file in parts that come side by side, in any order, torn and wrong ones among them; what is not the announced file is refused."""
    w = start(own)
    try:
        task, _, token = held_task(w, "sender")
        chance = random.Random(1)
        data = chance.randbytes(LARGE * MIB)
        sender = Sender(w.server.address, task, token, data, "results/large.bin")
        offsets = list(range(0, len(data), 8 * MIB))
        chance.shuffle(offsets)
        third = len(offsets) // 3
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for status, _ in pool.map(sender.part, offsets[:third]):
                eq(status, 200, "the status of a part")
            for offset in offsets[third:third + 3]:
                sender.torn(offset)
            status, said = sender.ask("PUT", offsets[third], b"x" * 8 * MIB, hashlib.sha256(b"y").hexdigest())
            eq(status, 422, "the status of a part that is not its digest")
            has(said, "expected SHA-256")
            arrived = until(lambda: sender.ask("GET"), "answer")[1]
            eq((arrived["complete"], sorted(map(tuple, arrived["received"]))), (False, sorted((o, min(8 * MIB, len(data) - o)) for o in offsets[:third])),
               "what has arrived")
            eq(sender.ask("POST")[0], 422, "the status of an end without all parts")
            that(not w.topdir(f"work/tasks/{task}/{task}/results/large.bin").exists(), "a file with holes is in its place")
            # The hub dies; what it has said it has, it has.
            w.server.listen = w.server.address
            w.server.kill()
            w.server.start()
            w.renew()
            eq(sorted(sender.ask("GET")[1]["received"]), sorted(arrived["received"]), "what has arrived, after kill -9")
            for status, _ in pool.map(sender.part, offsets[third:]):
                eq(status, 200, "the status of a part")
        eq(sender.ask("POST"), (200, {"complete": True}), "the end")
        place = w.topdir(f"work/tasks/{task}/{task}/results/large.bin")
        eq(hashlib.sha256(place.read_bytes()).hexdigest(), sender.sha256, "the digest of the file")
        eq(sender.ask("GET")[1]["complete"], True, "whether the file is there")
        # Parts that are each right, and not the file that was announced.
        small = chance.randbytes(9 * MIB)
        wrong = Sender(w.server.address, task, token, small, "wrong.bin", "0" * 64)
        eq([wrong.part(offset)[0] for offset in (0, 8 * MIB)], [200, 200], "the parts")
        status, said = wrong.ask("POST")
        eq(status, 422, "the status of another file than was announced")
        has(said, "expected SHA-256")
        that(not w.topdir(f"work/tasks/{task}/{task}/wrong.bin").exists(), "the wrong file is in its place")
        eq(sorted(w.hub.call("listTaskOutput", task)), ["results/large.bin"], "the files of the task")
    finally:
        w.server.stop()


def package(w, name):
    """A package with that much noise in it, which is not compressed."""
    noise = f"mkdir -p %{{buildroot}}/usr/share/{name}; head -c {LARGE * MIB} /dev/urandom > %{{buildroot}}/usr/share/{name}/noise"
    return w.srpm(name, install=noise, header="%define _binary_payload w0.gzdio\n%define _build_id_links none\n%define debug_package %{nil}\n%define __os_install_post %{nil}\n")


def built(w, target, name):
    """Builds the package and checks that the hub has what the builder made."""
    has(w.build(target, package(w, name)), "completed successfully")
    rpm = w.topdir(f"packages/{name}/1.0/1/noarch/{name}-1.0-1.noarch.rpm")
    that(rpm.stat().st_size > LARGE * MIB, f"the package has {rpm.stat().st_size} bytes")
    has(run("rpm", "-K", "--nosignature", rpm), "digests OK")


@story(own=True, slow=True)
def cut(own):
    """The way to the hub is cut again and again while a large package comes back; the package arrives as it was made."""
    w = start(own)
    front = CuttingFront(w.server.address, 20 * MIB, 6)
    builder = None
    try:
        add_host(w, "far")
        builder = TojiBuilder(w, "far", own.toji, server=f"{front.url}/kojihub", topurl=f"{front.url}/kojifiles", retry_interval=1)
        target = w.target("t", ["noisy"])
        built(w, target, "noisy")
        that(front.cuts >= 3, f"only {front.cuts} connections were cut")
        has(builder.said(), "uploading again")
    finally:
        front.stop()
        stop_all(w, builder)


@story(own=True, slow=True)
def cut_with_kojis_calls(own):
    """The same by the calls of a Koji hub, which has no tokens: each piece is confirmed, the whole by its SHA-256."""
    w = start(own)
    # Behind the other one, so that the hub is left with torn pieces; each comes over a connection of its own.
    front = CuttingFront(w.server.address, MIB // 2, 12)
    koji = KojiFront(front.address, HOST_CALLS)
    builder = None
    try:
        add_host(w, "far")
        builder = TojiBuilder(w, "far", own.toji, server=f"{koji.url}/kojihub", topurl=f"{koji.url}/kojifiles", retry_interval=1, sleeptime=1,
                              topdir=w.ready["topdir"])
        target = w.target("t", ["noisy"])
        built(w, target, "noisy")
        that(front.cuts >= 3, f"only {front.cuts} connections were cut")
        that("host.uploadToken" in koji.refused and koji.uploads > LARGE / 16, f"{koji.uploads} uploads by Koji's calls, refused were {koji.refused}")
    finally:
        koji.stop()
        front.stop()
        stop_all(w, builder)
