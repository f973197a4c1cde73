"""Real message brokers for a story: RabbitMQ and NATS with JetStream, each at ports and in a directory of its own."""

import glob
import os
import socket
import subprocess
import time
from pathlib import Path

from .command import CommandFailed, run


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Process:
    """A broker that can be started, killed and started again with what it had stored; use it as a context."""

    def __init__(self, directory):
        self.dir, self.port, self.process = Path(directory), free_port(), None
        self.dir.mkdir(parents=True)

    def spawn(self, command, ready, env=None, timeout=90):
        """Starts a command and waits until `ready` says so."""
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(env or {})}, cwd=self.dir, start_new_session=True)
        deadline = time.monotonic() + timeout
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"the broker does not start\n{(self.dir / 'log').read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)
        return self

    def kill(self):
        """Ends it at once, as a power cut would, with all that belongs to it."""
        if self.process:
            try:
                os.killpg(self.process.pid, 9)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.process = None

    def answers(self, first):
        """Whether somebody at its port answers as its protocol begins."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as link:
                link.sendall(first)
                return bool(link.recv(8))
        except OSError:
            return False

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


class Rabbit(Process):
    """rabbitmq-server."""

    PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"

    def __init__(self, directory, tls=None):
        """With `tls`, an authority's file, certificate and key, it also listens for TLS and wants certificates of clients."""
        super().__init__(directory)
        self.epmd_port, self.tls, self.tls_port = free_port(), tls, free_port()

    def start(self):
        """Starts it; it answers AMQP 0.9.1 then."""
        env = {
            "HOME": str(self.dir), "RABBITMQ_NODENAME": f"toji{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()), "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_MNESIA_BASE": str(self.dir / "data"), "RABBITMQ_LOG_BASE": str(self.dir / "logs"), "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.dir / "rabbitmq"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.dir / "plugins"),
            "RABBITMQ_PID_FILE": str(self.dir / "pid"), "RABBITMQ_CONF_ENV_FILE": str(self.dir / "env"),
            # The port mapper may be ended while it still knows of the server.
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }
        (self.dir / "plugins").write_text("[].\n")
        lines = ["loopback_users = none", "vm_memory_high_watermark.absolute = 400MB", "disk_free_limit.absolute = 50MB"]
        if self.tls:
            authority, certificate, key = self.tls
            lines += [f"listeners.ssl.default = 127.0.0.1:{self.tls_port}", f"ssl_options.cacertfile = {authority}",
                      f"ssl_options.certfile = {certificate}", f"ssl_options.keyfile = {key}",
                      "ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true"]
        (self.dir / "rabbitmq.conf").write_text("".join(f"{line}\n" for line in lines))
        return self.spawn([self.PROGRAM], lambda: self.answers(b"AMQP\0\0\x09\x01"), env)

    def __exit__(self, *failure):
        super().__exit__(*failure)
        # The port mapper of Erlang leaves the group of its server.
        run("epmd", "-port", str(self.epmd_port), "-kill", env={"ERL_EPMD_PORT": str(self.epmd_port)}, code=None)

    @property
    def url(self):
        """Its address with the user that it has from the beginning."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2f"

    @property
    def tls_url(self):
        """The address where it speaks TLS."""
        return f"amqps://guest:guest@localhost:{self.tls_port}/%2f"


class Nats(Process):
    """nats-server with JetStream."""

    PROGRAM = next(iter(glob.glob("/usr/sbin/nats-server") + glob.glob("/usr/bin/nats-server")), "nats-server")

    def __init__(self, directory, tls=None):
        """With `tls`, an authority's file, certificate and key, it speaks TLS only and wants certificates of clients."""
        super().__init__(directory)
        self.tls = tls

    def start(self):
        """Starts it."""
        command = [self.PROGRAM, "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", self.dir / "data"]
        if self.tls:
            authority, certificate, key = self.tls
            command += ["--tlsverify", "--tlscacert", authority, "--tlscert", certificate, "--tlskey", key]
        return self.spawn(command, lambda: self.answers(b""))

    @property
    def url(self):
        """Its address."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def tls_url(self):
        """The address where it speaks TLS."""
        return f"tls://localhost:{self.port}"
