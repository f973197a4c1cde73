"""A hub on PostgreSQL with an authority, and a Kerberos realm if a story wants one: what logins need."""

import http.client
import ssl
import xmlrpc.client
from pathlib import Path

from .authority import Authority
from .command import run
from .hub import Hub
from .hub_process import HubProcess
from .kdc import Kdc
from .postgres import Postgres

ADMIN = ("admin", "admin's password")


class Site:
    """The servers, to be used in a `with`; options of `hub.conf` by section."""

    def __init__(self, own, kerberos=False, hub=(), toji=(), skew=300):
        self.dir, self.koji_program = own.dir, own.koji_program
        self.postgres = Postgres(self.dir / "postgres")
        self.authority = Authority(self.dir / "ca")
        self.server_certificate = self.authority.issue("localhost", "server")
        self.kdc = Kdc(self.dir / "kdc", skew) if kerberos else None
        self.topdir = self.dir / "koji"
        for name in ("packages", "work", "repos", "scratch"):
            (self.topdir / name).mkdir(parents=True)
        conf = {
            "hub": {"DBName": "koji", "DBUser": "toji", "DBHost": self.postgres.dir, "KojiDir": self.topdir, **dict(hub)},
            "toji": {"TLSCertificate": self.server_certificate, "TLSKey": self.server_certificate, **dict(toji)},
        }
        self.hub = HubProcess(own.toji, self.dir / "hub", conf, ["--listen-tls", "127.0.0.1:0"], self.env())

    def env(self):
        """What programs need to find the realm."""
        return self.kdc.env if self.kdc else {}

    def __enter__(self):
        try:
            self.postgres.start()
            self.postgres.create("koji")
            if self.kdc:
                self.kdc.start()
                self.hub.configure(AuthKeytab=self.kdc.keytab("HTTP/localhost"))
            self.hub.start()
            self.sql("INSERT INTO users (name, password, status, usertype) VALUES ('admin', 'admin''s password', 0, 0)")
            self.sql("INSERT INTO user_perms (user_id, perm_id, creator_id, create_event) SELECT u.id, p.id, u.id, "
                     "get_event() FROM users u, permissions p WHERE u.name = 'admin' AND p.name = 'admin'")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        self.hub.stop()
        if self.kdc:
            self.kdc.stop()
        self.postgres.stop("immediate")

    def sql(self, statement):
        """Rows of the hub's database as text."""
        return self.postgres.psql("koji", statement).strip()

    def admin(self):
        """A session as the administrator, by password and plain HTTP."""
        return Hub(self.hub.ready["hub"]).login(*ADMIN)

    def koji(self, *argv, url=None, code=0, cache=None, **options):
        """Runs the stock client with these options of its configuration."""
        # What is refused shall not be tried for ten minutes.
        conf = {"server": url or self.hub.tls, "serverca": self.authority.ca, "max_retries": 2, "retry_interval": 1, **options}
        file = self.dir / "koji.conf"
        file.write_text("[koji]\n" + "".join(f"{name} = {value}\n" for name, value in conf.items()))
        env = self.ticket_env(cache or f"cache-{abs(hash(str(options)))}")
        return run(self.koji_program, "-c", file, *argv, code=code, env=env, cwd=self.dir)

    def with_keytab(self, principal, *argv, **more):
        """Runs the stock client as a principal, with a keytab of its own."""
        keytab = self.kdc.keytab(principal)
        return self.koji(*argv, authtype="kerberos", principal=f"{principal}@EXAMPLE.TEST", keytab=keytab, **more)

    def with_certificate(self, certificate, *argv, **more):
        """Runs the stock client with a certificate."""
        return self.koji(*argv, authtype="ssl", cert=certificate, **more)

    def ticket_env(self, cache):
        """The variables by which programs use a cache of tickets."""
        return {**self.env(), "KRB5CCNAME": f"FILE:{self.dir}/{cache}"}

    def with_ticket(self, cache, *argv, **more):
        """Runs the stock client with the tickets of a cache."""
        return self.koji(*argv, cache=cache, authtype="kerberos", **more)

    def token(self, principal, lifetime="1h"):
        """A message by which a principal logs in at the hub once, made with a ticket in the cache `tokens`."""
        keytab, env = self.kdc.keytab(principal), self.ticket_env("tokens")
        run("kinit", "-l", lifetime, "-k", "-t", keytab, principal, env=env)
        script = ("import base64, gssapi\n"
                  "name = gssapi.Name('HTTP@localhost', gssapi.NameType.hostbased_service)\n"
                  "print(base64.b64encode(gssapi.SecurityContext(name=name, usage='initiate').step()).decode())")
        return run(Path(self.koji_program).parent / "python", "-c", script, env=env).out.strip()

    def post(self, method, *args, url=None, headers=(), certificate=None, path=""):
        """Calls a method without the stock client; returns status, headers and the result or fault."""
        scheme, rest = (url or self.hub.tls).split("://")
        address, base = rest.split("/", 1)
        if scheme == "https":
            context = ssl.create_default_context(cafile=str(self.authority.ca))
            if certificate:
                context.load_cert_chain(certificate)
            link = http.client.HTTPSConnection(address, context=context, timeout=60)
        else:
            link = http.client.HTTPConnection(address, timeout=60)
        try:
            body = xmlrpc.client.dumps(args, method, allow_none=True)
            link.request("POST", f"/{base}{path}", body, {"Content-Type": "text/xml", **dict(headers)})
            answer = link.getresponse()
            text = answer.read()
            return answer.status, answer.headers, value(text) if answer.status == 200 else text
        finally:
            link.close()


def value(text):
    """The result in an answer, or its fault."""
    try:
        return xmlrpc.client.loads(text)[0][0]
    except xmlrpc.client.Fault as fault:
        return fault


def session_headers(session, callnum=None):
    """The headers of a request in a session."""
    found = {"Koji-Session-Id": str(session["session-id"]), "Koji-Session-Key": session["session-key"]}
    if callnum is not None:
        found["Koji-Session-Callnum"] = str(callnum)
    return found
