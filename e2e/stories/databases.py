"""The hub's connections to PostgreSQL: encrypted ones, libpq's ways to say how to reach a server, and none that stays in a transaction."""

import contextlib
import http.client
import time

from harness.authority import Authority
from harness.builders import SiteBuilder
from harness.command import run
from harness.hub import Hub
from harness.hub_process import HubProcess
from harness.kdc import free_port
from harness.postgres import Postgres
from harness.site import ADMIN, Site
from harness.story import eq, has, story, that

HBA = """local all all trust
hostssl koji toji 127.0.0.1/32 cert
hostssl koji guest 127.0.0.1/32 scram-sha-256
host all all all reject
"""


class Secured:
    """The server, its authority and a database `koji`."""

    def __init__(self, own):
        self.dir, self.toji = own.dir, own.toji
        self.authority = Authority(own.dir / "ca")
        self.port = free_port()
        server = self.authority.issue("localhost", "server").read_text()
        self.postgres = Postgres(own.dir / "pg", ["listen_addresses='127.0.0.1'", "fsync=off"], self.port)
        self.postgres.start()
        self.postgres.create("koji")
        self.postgres.psql("koji", "CREATE ROLE guest LOGIN PASSWORD 'it''s me' SUPERUSER")
        self.postgres.give("data/server.pem", server)
        self.postgres.give("data/ca.pem", self.authority.ca.read_text())
        self.postgres.give("data/pg_hba.conf", HBA)
        for name, value in (("ssl", "on"), ("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.pem"), ("ssl_ca_file", "ca.pem")):
            self.postgres.psql("postgres", f"ALTER SYSTEM SET {name} = '{value}'")
        self.postgres.psql("postgres", "SELECT pg_reload_conf()")

    def check(self, query, host="localhost", user="toji", code=0):
        """Looks at the database over a URL with this query."""
        url = f"postgres://{user}@{host}:{self.port}/koji?{query}"
        said = run(self.toji, "migrate", "--database", url, "--check", code=None)
        that((said.code == 0) == (code == 0), f"{url}\n{said}")
        return said


@story(own=True)
def tls(own):
    """A hub on such a server: with its own certificate or a password, and only when the server is the right one."""
    secured = Secured(own)
    hub = None
    try:
        ca, mine = secured.authority.ca, secured.authority.issue("toji")
        string = f"host=localhost port={secured.port} dbname=koji user=toji sslmode=verify-full sslrootcert={ca} sslcert={mine}"
        conf = {"hub": {"DBConnectionString": string, "KojiDir": own.dir / "koji"}}
        (own.dir / "koji").mkdir()
        hub = HubProcess(own.toji, own.dir / "hub", conf).start()
        eq(Hub(hub.ready["hub"]).call("getKojiVersion"), "1.36.1", "an answer")
        plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL AND NOT ssl"
        eq(secured.postgres.psql("koji", plain).strip(), "0", "connections in the clear")
        encrypted = plain.replace("NOT ssl", "ssl").replace("IS NOT NULL AND", "IS NOT NULL AND application_name = 'toji' AND")
        that(int(secured.postgres.psql("koji", encrypted)) >= 1, "the hub's connections are encrypted")
        eq(hub.stop(), 0, "the exit code after SIGTERM")

        own_database = "A database of Toji's own."
        has(secured.check(f"sslmode=verify-full&sslrootcert={ca}&sslcert={mine}"), own_database)
        # Without a certificate of its own, with one of another user, in the clear: the server refuses.
        secured.check(f"sslmode=verify-full&sslrootcert={ca}", code=1)
        secured.check(f"sslmode=require&sslcert={secured.authority.issue('other')}", code=1)
        secured.check(f"sslmode=disable&sslcert={mine}", code=1)
        # Another server than the one that is meant: the client refuses.
        foreign = Authority(own.dir / "foreign", "Other Authority").ca
        said = secured.check(f"sslmode=verify-ca&sslrootcert={foreign}&sslcert={mine}", code=1)
        has(said.err, "certificate")
        meant = f"hostaddr=127.0.0.1&sslcert={mine}&sslrootcert={ca}"
        secured.check(f"{meant}&sslmode=verify-full", host="db.example.com", code=1)
        has(secured.check(f"{meant}&sslmode=verify-ca", host="db.example.com"), own_database)

        # With a password: bound to the channel, from a file, by a service; the first server that answers.
        passwords, services = own.dir / "passwords", own.dir / "services"
        passwords.write_text(f"localhost:{secured.port}:koji:guest:it's me\n")
        passwords.chmod(0o600)
        services.write_text(f"[build]\nhost=localhost\nport={secured.port}\ndbname=koji\nuser=guest\nsslmode=require\n")
        asked = f"sslmode=require&channel_binding=require&passfile={passwords}"
        has(secured.check(asked, user="guest"), own_database)
        url = f"postgres:///?service=build&servicefile={services}&passfile={passwords}"
        has(run(own.toji, "migrate", "--database", url, "--check"), own_database)
        url = f"postgres://guest:it%27s%20me@127.0.0.1:1,localhost:{secured.port}/koji?connect_timeout=5"
        has(run(own.toji, "migrate", "--database", url, "--check"), own_database)
    finally:
        if hub:
            hub.stop()
        secured.postgres.stop("immediate")


@story(own=True)
def nothing_stays_open(own):
    """Builders' streams, event streams, waiting calls, the scheduler and the repository daemon are in no transaction at rest."""
    with Site(own) as site, contextlib.ExitStack() as after:
        hub = site.admin()
        hub.call("createTag", "t", arches="x86_64")
        hub.call("addHost", "b1", ["x86_64"])
        site.sql("UPDATE users SET password = 'x' WHERE name = 'b1'")
        plain = site.hub.ready["hub"]
        daemon = SiteBuilder(own, site, "b1", server=plain, user="b1", password="x")
        after.callback(daemon.end)
        daemon.until(lambda: "live connection" in daemon.said(), "live connection")
        events = http.client.HTTPConnection(site.hub.address, timeout=60)
        after.callback(events.close)
        login = site.post("login", *ADMIN, url=plain)[2]
        events.request("GET", "/api/events", headers={"Accept": "text/event-stream", "Koji-Session-Id": str(login["session-id"]),
                                                      "Koji-Session-Key": login["session-key"]})
        eq(events.getresponse().status, 200, "the status of the event stream")
        waits = hub.call("makeTask", "sleep", [600], arch="noarch")
        daemon.until(lambda: hub.call("getTaskInfo", waits)["state"] == 1, "open task")
        hub.call("repo.request", "t")
        hub.wait(hub.call("makeTask", "sleep", [0], arch="noarch"), 60)
        open_ones = ("SELECT pid, state, query FROM pg_stat_activity WHERE datname = 'koji' AND state LIKE 'idle in transaction%'")
        deadline = time.monotonic() + 30
        while found := site.sql(open_ones):
            that(time.monotonic() < deadline, f"connections stay in a transaction:\n{found}")
            time.sleep(0.1)
        hub.call("cancelTask", waits)
