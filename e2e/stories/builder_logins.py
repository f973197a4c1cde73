"""`toji builder` logs in as `kojid.conf` says: with a certificate, with a keytab, and not with what is over or foreign."""

import contextlib

from harness.builders import SiteBuilder
from harness.site import Site
from harness.story import eq, has, story, that

# The numbers by which Koji's tables tell how a session was logged in.
KERBEROS, SSL = 3, 2


def works(site, daemon, host, authtype):
    """The host is logged in that way, its live connection stands, and it does a task."""
    hub = site.admin()
    daemon.until(lambda: hub.call("getHost", host)["ready"], "word of the host that it is ready")
    eq(site.sql(f"SELECT authtype, exclusive FROM sessions JOIN users ON users.id = user_id WHERE name = '{host}' AND "
                "NOT closed ORDER BY sessions.id LIMIT 1"), f"{authtype}|t", "the session")
    task = hub.call("makeTask", "sleep", [0], arch="noarch")
    hub.wait(task, 60)
    daemon.until(lambda: "live connection" in daemon.said(), "live connection")


@story(own=True)
def keytab(own):
    """A host with a keytab and a principal, also one that follows from the host's name; a wrong keytab gets nothing."""
    with Site(own, kerberos=True) as site, contextlib.ExitStack() as after:
        site.admin().call("addHost", "b1", ["x86_64"], krb_principal="compile/b1.example.com@EXAMPLE.TEST")
        keys = site.kdc.keytab("compile/b1.example.com")
        daemon = SiteBuilder(own, site, "b1", krb_principal="compile/b1.example.com@EXAMPLE.TEST", keytab=keys,
                             ccache=own.dir / "b1.ccache")
        after.callback(daemon.end)
        works(site, daemon, "b1", KERBEROS)
        # The session is over: the builder logs in again by itself, with a new ticket.
        site.sql("UPDATE sessions SET start_time = start_time - interval '2 days' WHERE user_id = (SELECT id FROM users "
                 "WHERE name = 'b1')")
        hub = site.admin()
        hub.wait(hub.call("makeTask", "sleep", [0], arch="noarch"), 60)
        eq(daemon.end(), 0, "the exit code after SIGTERM")
        stranger = SiteBuilder(own, site, "stranger", krb_principal="compile/b1.example.com@EXAMPLE.TEST",
                               keytab=site.kdc.keytab("compile/b2.example.com"), ccache=own.dir / "stranger.ccache")
        after.callback(stranger.end)
        that(stranger.process.wait(60) != 0, "a builder with the keytab of another one ended well")
        has(stranger.said(), "keytab")


@story(own=True)
def certificate(own):
    """A host with a certificate, at a hub that turns everybody away who has none; a revoked one gets nothing."""
    with Site(own) as site, contextlib.ExitStack() as after:
        ca = site.authority
        site.admin().call("addHost", "b1.example.com", ["x86_64"])
        own_certificate = ca.issue("b1.example.com")
        site.hub.conf["toji"].update(TLSClientCA=ca.ca, TLSClientCRL=ca.crl, TLSClientCertificates="required")
        site.hub.reload()
        daemon = SiteBuilder(own, site, "b1", cert=own_certificate)
        after.callback(daemon.end)
        works(site, daemon, "b1.example.com", SSL)
        eq(daemon.end(), 0, "the exit code after SIGTERM")
        old = SiteBuilder(own, site, "old", cert=ca.issue("b2.example.com", when=("20200101000000Z", "20200102000000Z")))
        after.callback(old.end)
        old.until(lambda: "connection" in old.said(), "word of the refusal")
        ca.revoke("b1.example.com")
        site.hub.reload()
        revoked = SiteBuilder(own, site, "revoked", cert=own_certificate)
        after.callback(revoked.end)
        revoked.until(lambda: "connection" in revoked.said(), "word of the refusal")
        eq(site.sql("SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE name LIKE 'b%' AND NOT closed"), "0",
           "sessions of hosts")
