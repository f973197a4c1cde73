"""Readers of a task's log while it grows, each of which notes when a byte came."""

import base64
import http.client
import re
import threading
import time
import urllib.parse

# What `chatty` writes: a number and the moment of writing.
STAMP = re.compile(rb"^stamp (\d+) (\d+\.\d+)$", re.MULTILINE)


def chatty(lines, pause):
    """A script that writes so many lines, with a pause in seconds before each."""
    return f"set +x; n=0; while [ $n -lt {lines} ]; do sleep {pause}; echo stamp $n $(date +%s.%N); n=$((n+1)); done; set -x"


class Reader(threading.Thread):
    """Collects the bytes of a log."""

    def __init__(self):
        super().__init__(daemon=True)
        self.data, self.came, self.problem, self.over = bytearray(), [], None, threading.Event()

    def took(self, piece):
        """Notes a piece that has just come."""
        self.data += piece
        self.came.append((time.time(), len(self.data)))

    def delays(self):
        """Seconds from the writing of each line to its coming, by the line's number."""
        found, came = {}, iter(self.came)
        moment, end = next(came, (0, 0))
        for line in STAMP.finditer(bytes(self.data)):
            # The line feed belongs to the line.
            while end <= line.end():
                moment, end = next(came, (moment, len(self.data) + 1))
            found[int(line[1])] = moment - float(line[2])
        return found


class Stream(Reader):
    """Reads `/api/tasks/ID/logs/NAME?follow=1`, and goes on at its offset when the connection is lost."""

    def __init__(self, url, task, name, run=1):
        super().__init__()
        self.address, self.path = urllib.parse.urlsplit(url).netloc, f"/api/tasks/{task}/logs/{name}"
        self.wanted, self.breaks, self.runs = run, 0, None
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                if self.once():
                    return
            except (OSError, http.client.HTTPException):
                self.breaks += 1
            time.sleep(0.05)

    def once(self):
        """Reads until the answer ends; tells whether the log has ended too."""
        link = http.client.HTTPConnection(self.address, timeout=60)
        try:
            link.request("GET", f"{self.path}?follow=1&run={self.wanted}&offset={len(self.data)}")
            answer = link.getresponse()
            if answer.status != 200:
                return False
            while piece := answer.read1(1 << 16):
                self.took(piece)
        finally:
            link.close()
        end, self.runs, rest = read(self.address, self.path, self.wanted, len(self.data))
        return end and not rest


def read(address, path, run, offset):
    """What is there from the offset on: whether the log is complete, how many runs it has, and the bytes."""
    link = http.client.HTTPConnection(address, timeout=60)
    try:
        link.request("GET", f"{path}?run={run}&offset={offset}")
        answer = link.getresponse()
        data = answer.read()
        if answer.status != 200:
            return False, 0, data
        return answer.headers["x-log-complete"] == "true", int(answer.headers["x-log-runs"]), data
    finally:
        link.close()


class Polls(Reader):
    """Reads by `downloadTaskOutput` with an offset, as `koji watch-logs` does, but oftener."""

    def __init__(self, hub, task, name, pause=0.02):
        super().__init__()
        self.hub, self.task, self.log, self.pause = hub, task, name, pause
        self.start()

    def run(self):
        last = False
        while True:
            last = self.over.is_set()
            try:
                piece = self.hub.call("downloadTaskOutput", self.task, self.log, len(self.data), 1 << 16)
            except Exception as error:
                self.problem, piece = error, b""
            piece = piece if isinstance(piece, bytes) else base64.b64decode(piece)
            if piece:
                self.took(piece)
            elif last:
                return
            else:
                time.sleep(self.pause)


def figures(delays):
    """Middle, 99 of 100, and the longest, as text with milliseconds."""
    ordered = sorted(delays)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000
    return f"n {len(ordered)}, p50 {at(0.5):.0f} ms, p99 {at(0.99):.0f} ms, longest {ordered[-1] * 1000:.0f} ms"
