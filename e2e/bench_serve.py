"""The benchmark of serving files, beside nginx on the same files."""

import os
import re
import socket
import statistics
import time
from pathlib import Path

from benches import bench, milliseconds, processor_seconds
from harness.command import run
from harness.kdc import free_port
from harness.nginx import FrontEnd


class Peer(FrontEnd):
    """An nginx as Debian configures it (sendfile, tcp_nopush, a worker for each core), but without a log of accesses."""

    def __init__(self, directory, root):
        Path(directory).mkdir()
        self.port = free_port()
        server = f"    listen 127.0.0.1:{self.port};\n    location /kojifiles/ {{ alias {root}/; }}"
        more = ["sendfile on", "tcp_nopush on", "access_log off", "keepalive_requests 1000000000", "default_type application/octet-stream"]
        super().__init__(directory, server, workers="auto", more="".join(f"{line};\n  " for line in more))


def fetch(port, path, flags):
    """Gets a file once over a connection of its own; returns its length and the seconds. With MSG_TRUNC the system throws the bytes away uncopied."""
    begin = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as stream:
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            some = stream.recv(4096)
            if not some:
                raise RuntimeError(f"no answer for {path}")
            head += some
        head, _, rest = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {head.splitlines()[0]!r}")
        count, buffer = len(rest), bytearray(1 << 20)
        while some := stream.recv_into(buffer, 0, flags):
            count += some
    return count, time.perf_counter() - begin


def large(port, path, size, pids, flags, times):
    """Megabytes per second (the median of several runs) and the processor seconds of the server per gigabyte."""
    rates = []
    used = sum(map(processor_seconds, pids))
    for _ in range(times):
        count, seconds = fetch(port, path, flags)
        if count != size:
            raise RuntimeError(f"{path}: {count} of {size} bytes")
        rates.append(size / seconds / 1e6)
    used = sum(map(processor_seconds, pids)) - used
    return statistics.median(rates), used / (size * times / 1e9)


def small(b, port, paths, clients, seconds):
    """Requests per second and milliseconds of wrk, which asks for one after the other over connections that stay."""
    script = b.dir / "small.lua"
    script.write_text("local ready, n = {}, 0\nfunction init()\n  for path in io.lines('" + str(paths) + "') do\n"
                      "    ready[#ready + 1] = wrk.format('GET', path)\n  end\nend\n"
                      "function request()\n  n = n % #ready + 1\n  return ready[n]\nend\n")
    said = run("wrk", "-t", "1", "-c", clients, "-d", f"{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{port}").out
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"some requests failed:\n{said}")
    number = lambda pattern: re.search(pattern, said).group(1)  # noqa: E731
    return float(number(r"Requests/sec:\s+([\d.]+)")), milliseconds(number(r"(?m)^ +99%\s+(\S+)"))


@bench
def serve(b):
    """A file of 1 GB, and 10,000 of 1 to 32 KB over connections that stay, from /kojifiles and from nginx, in turns."""
    size, count, seconds, times = (100_000_000, 1000, 1, 3) if b.quick else (1_000_000_000, 10_000, 5, 5)
    b.server.extra.append("--no-builder")
    top = Path(b.start()["topdir"]) / "work/bench"
    top.mkdir(parents=True)
    block = os.urandom(1_000_000)
    with open(top / "large.bin", "wb") as out:
        for _ in range(size // len(block)):
            out.write(block)
    for n in range(count):
        place = top / f"small/{n // 100}"
        place.mkdir(parents=True, exist_ok=True)
        length = 1024 + n * 7919 % 31_745
        (place / f"{n}.bin").write_bytes(block[n:n + length])
    paths = b.dir / "paths"
    paths.write_text("".join(f"/kojifiles/work/bench/small/{n // 100}/{n}.bin\n" for n in range(count)))
    nginx = Peer(b.dir / "nginx", b.server.ready["topdir"]).start()
    figures = {"large_mb": size / 1e6, "small_files": count}
    servers = {"toji": (int(b.server.address.rsplit(":", 1)[1]), lambda: [b.server.process.pid]), "nginx": (nginx.port, nginx.pids)}
    try:
        for port, _ in servers.values():
            # once, so that all files are in the memory of the system
            fetch(port, "/kojifiles/work/bench/large.bin", 0)
            small(b, port, paths, 4, 1)
        for kind, flags in (("dropped", socket.MSG_TRUNC), ("read", 0)):
            for name, (port, pids) in servers.items():
                rate, used = large(port, "/kojifiles/work/bench/large.bin", size, pids(), flags, times)
                figures[f"{name}_large_{kind}_mb_per_s"], figures[f"{name}_large_{kind}_processor_s_per_gb"] = rate, used
        for clients in (1, 16):
            rounds = {name: [] for name in servers}
            for _ in range(1 if b.quick else 3):
                for name, (port, _) in servers.items():
                    rounds[name].append(small(b, port, paths, clients, seconds))
            for name, measured in rounds.items():
                rate, slow = (statistics.median(column) for column in zip(*measured))
                figures[f"{name}_small_{clients}_per_s"], figures[f"{name}_small_{clients}_p99_ms"] = rate, slow
    finally:
        nginx.stop()
    measured = [f"large_{kind}_mb_per_s" for kind in ("dropped", "read")] + [f"small_{clients}_per_s" for clients in (1, 16)]
    return figures, {f"{what}_to_nginx": figures[f"toji_{what}"] / figures[f"nginx_{what}"] for what in measured}
