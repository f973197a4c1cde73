"""A real nginx in front of a hub: it ends TLS and tells the hub whose certificate it saw."""

import os
import subprocess
from pathlib import Path

from .kdc import free_port, program, wait_for_port


class FrontEnd:
    """A running nginx with one server, whose directives are in `server`; `more` are directives for all, by default a log of accesses."""

    def __init__(self, directory, server, workers=1, more=None):
        self.dir, self.process = Path(directory), None
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "\n".join(f"  {kind}_temp_path {self.dir}/{kind};" for kind in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.dir / "nginx.conf").write_text(f"""{user}
daemon off;
worker_processes {workers};
pid {self.dir}/pid;
error_log {self.dir}/error.log info;
events {{ worker_connections 768; }}
http {{
{temporary}
  {more or f"access_log {self.dir}/access.log;"}
  server {{
{server}
  }}
}}
""")

    def start(self):
        """Starts the program and returns when it listens."""
        log = open(self.dir / "out", "ab")
        command = [program("nginx"), "-p", str(self.dir), "-c", str(self.dir / "nginx.conf"),
                   "-e", str(self.dir / "error.log")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for_port(self.process, self.port, self.dir / "out")
        return self

    def pids(self):
        """The master and its workers."""
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def stop(self):
        """Ends the program."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


class PlainNginx(FrontEnd):
    """An nginx as sites have it before a hub: HTTP/1.1 on both sides, so that no gRPC comes through."""

    def __init__(self, directory, upstream):
        Path(directory).mkdir(parents=True)
        self.port = free_port()
        super().__init__(directory, f"""    listen 127.0.0.1:{self.port};
    client_max_body_size 0;
    location / {{
      proxy_pass http://{upstream};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Host $http_host;
    }}""")
        self.url = f"http://127.0.0.1:{self.port}"


class Nginx(FrontEnd):
    """A running nginx that passes everything on to `upstream` (HOST:PORT), from the address `source`."""

    def __init__(self, directory, upstream, authority, certificate, source):
        Path(directory).mkdir(parents=True)
        self.port = free_port()
        super().__init__(directory, f"""    listen 127.0.0.1:{self.port} ssl;
    server_name localhost;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    ssl_client_certificate {authority.ca};
    ssl_crl {authority.crl};
    ssl_verify_client optional;
    client_max_body_size 0;
    location / {{
      proxy_pass http://{upstream};
      proxy_bind {source};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Remote-User "";
      proxy_set_header X-SSL-Client-Verify $ssl_client_verify;
      proxy_set_header X-SSL-Client-S-DN $ssl_client_s_dn;
    }}""")
        self.hub = f"https://localhost:{self.port}/kojihub"
