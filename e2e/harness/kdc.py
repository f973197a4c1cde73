"""A throw-away Kerberos realm: a key distribution centre on a free port, its database in a directory."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from .command import run

REALM = "EXAMPLE.TEST"


class Kdc:
    """A running centre; `env` is what programs need to use it, `skew` by how many seconds clocks may differ."""

    def __init__(self, directory, skew=300):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True)
        self.process = None
        self.port = free_port()
        (self.dir / "krb5.conf").write_text(f"""[libdefaults]
  default_realm = {REALM}
  dns_lookup_realm = false
  dns_lookup_kdc = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
  clockskew = {skew}
[realms]
  {REALM} = {{
    kdc = 127.0.0.1:{self.port}
  }}
  OTHER.TEST = {{
    kdc = 127.0.0.1:1
  }}
[domain_realm]
  localhost = {REALM}
[dbmodules]
  {REALM} = {{
    db_library = db2
  }}
[logging]
  kdc = FILE:{self.dir}/kdc.log
""")
        (self.dir / "kdc.conf").write_text(f"""[kdcdefaults]
  kdc_listen = 127.0.0.1:{self.port}
  kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
  {REALM} = {{
    database_name = {self.dir}/principals
    key_stash_file = {self.dir}/stash
    acl_file = {self.dir}/acl
  }}
""")
        # The replay cache belongs to the services of this realm alone.
        self.env = {"KRB5_CONFIG": str(self.dir / "krb5.conf"), "KRB5_KDC_PROFILE": str(self.dir / "kdc.conf"),
                    "KRB5RCACHENAME": f"file2:{self.dir}/replay"}

    def start(self):
        """Makes the database and serves it."""
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        log = open(self.dir / "kdc.out", "ab")
        self.process = subprocess.Popen([program("krb5kdc"), "-n", "-r", REALM], env={**os.environ, **self.env},
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for_port(self.process, self.port, self.dir / "kdc.out")
        return self

    def stop(self):
        """Ends the server."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def keytab(self, *names):
        """Makes principals with new keys and returns a keytab with them."""
        file = self.dir / (names[0].replace("/", "-") + ".keytab")
        file.unlink(missing_ok=True)
        for name in names:
            if "does not exist" in self.admin(f"getprinc {name}", code=None).err:
                self.admin(f"addprinc -randkey {name}")
            self.admin(f"ktadd -k {file} {name}")
        return file

    def admin(self, query, code=0):
        """Runs a query of the administration program on the database."""
        return self._run("kadmin.local", "-r", REALM, "-q", query, code=code)

    def _run(self, name, *arguments, code=0):
        return run(program(name), *arguments, env=self.env, code=code)


def program(name):
    """Where a server's program is: not always in the path of users."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def wait_for_port(process, port, log, timeout=30):
    """Returns when a program that was just started takes connections."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args[0]} does not serve:\n{log.read_text()}") from None
            time.sleep(0.02)


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
