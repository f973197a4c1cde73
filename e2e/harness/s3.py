"""Real S3 servers in processes of their own, the files that tell a hub of a bucket, and uploads straight to it."""

import contextlib
import hashlib
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from harness.server import Server

ROOT = Path(__file__).resolve().parents[2]
KEY, SECRET, BUCKET = "tester", "the secret of the tests", "koji"
# The volume in the bucket; what is not called near goes there.
VOLUME = "far"
POLICY = """
[policy]
volume =
  package near* :: DEFAULT
  all :: far
"""


@contextlib.contextmanager
def with_far_volume(own, make, more=""):
    """The bucket of a server of this make, and Toji that knows it as a volume, with `more` options."""
    with S3(make, own.dir) as bucket:
        data = own.dir / "data"
        volumes = bucket.tell(data, VOLUME, more)
        (data / "hub.conf").write_text(f"[toji]\nObjectVolumes = {volumes}\n{POLICY}")
        server = Server(own.toji, data).start()
        try:
            yield bucket, server
        finally:
            server.stop()


class S3:
    """A server with an empty bucket: `moto` in Python, `s3s` in Rust."""

    def __init__(self, make, directory):
        self.make, self.dir = make, Path(directory)

    def __enter__(self):
        files = self.dir / "bucket"
        (files / BUCKET).mkdir(parents=True)
        if self.make == "moto":
            command, env = [ROOT / ".x/moto/bin/moto_server", "-H", "127.0.0.1", "-p", "0"], {}
        else:
            command = [ROOT / ".x/s3s/bin/s3s-fs", "--host", "127.0.0.1", "--port", "0", "--access-key", KEY, "--secret-key", SECRET, files]
            env = {"RUST_LOG": "s3s_fs=info"}
        log = self.dir / f"{self.make}.log"
        out = open(log, "ab")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **env}, text=True)
        for line in self.process.stdout:
            found = re.search(r"http://(127\.0\.0\.1:\d+)", line)
            if found:
                self.address = found[1]
                break
        else:
            raise RuntimeError(f"{self.make} has ended")
        # What it tells is kept without a thread that reads: a pipe of its own would fill.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stdout, stdout=out)
        self.process.stdout.close()
        out.close()
        if self.make == "moto":
            urllib.request.urlopen(urllib.request.Request(f"http://{self.address}/{BUCKET}", method="PUT")).close()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.drain.wait()

    def tell(self, data, volume, more=""):
        """Writes the files that tell a hub with this data directory of the bucket as a volume."""
        data = Path(data)
        data.mkdir(parents=True, exist_ok=True)
        secrets = data / "s3.secrets"
        secrets.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
        secrets.chmod(0o600)
        volumes = data / "volumes.conf"
        volumes.write_text(f"[{volume}]\nEndpoint = http://{self.address}\nBucket = {BUCKET}\nPrefix = store\n"
                           f"Credentials = {secrets}\nTimeout = 20\n{more}")
        return volumes

    def keys(self, prefix):
        """The keys that begin so."""
        if self.make == "moto":
            query = urllib.parse.urlencode({"list-type": 2, "prefix": prefix})
            with urllib.request.urlopen(f"http://{self.address}/{BUCKET}?{query}") as answer:
                return re.findall(r"<Key>([^<]*)</Key>", answer.read().decode())
        top = self.dir / "bucket" / BUCKET
        return [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and str(path.relative_to(top)).startswith(prefix)]


class Straight:
    """An upload by a ticket."""

    def __init__(self, hub, path, name, content, overwrite=False):
        self.hub, self.content, self.overwrite = hub, content, overwrite
        self.file, self.sha256 = (path, name), hashlib.sha256(content).hexdigest()
        self.ticket = hub.call("uploads.begin", *self.file, len(content), self.sha256, overwrite=overwrite)
        if not self.ticket["direct"]:
            raise RuntimeError(f"no ticket: {self.ticket}")

    def put(self, content=None):
        """Sends what was announced, or something else; gives the status."""
        content = self.content if content is None else content
        # Without a type urllib says that it is a form, which moto then waits for.
        headers = {**self.ticket["headers"], "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self.ticket["url"], content, headers, method=self.ticket["method"])
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def finish(self):
        """Has the hub take it over."""
        return self.hub.call("uploads.finish", *self.file, self.ticket["ticket"], len(self.content), self.sha256, overwrite=self.overwrite)


def straight(hub, path, name, content, overwrite=False):
    """Uploads straight to the bucket; returns the path below the work directory."""
    upload = Straight(hub, path, name, content, overwrite)
    upload.put()
    upload.finish()
    return f"{path}/{name}"
