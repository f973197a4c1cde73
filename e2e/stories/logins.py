"""Logins with real programs: a KDC, certificates of openssl, nginx, and the stock client."""

import socket
import ssl
import time
import xmlrpc.client
from pathlib import Path

from harness.command import run
from harness.hub import Hub
from harness.nginx import Nginx
from harness.site import ADMIN, Site, session_headers
from harness.story import eq, has, lacks, story, that

LOGIN = "/ssllogin"


def fault(answer, *parts, code=None):
    """The answer is a fault whose text has the parts."""
    status, _, result = answer
    eq(status, 200, "the status of a fault")
    that(isinstance(result, xmlrpc.client.Fault), f"it was not refused but gave {result!r}")
    has(result.faultString, *parts)
    if code is not None:
        eq(result.faultCode, code, "the code of the fault")


def negotiate(token):
    """The header of a Kerberos login."""
    return {"Authorization": f"Negotiate {token}"}


@story(own=True)
def kerberos(own):
    """The stock client logs in with keytabs at the hub's own TLS listener."""
    with Site(own, kerberos=True, hub={"ProxyPrincipals": "other@EXAMPLE.TEST, koji/web@EXAMPLE.TEST"}) as site:
        said = site.with_keytab("alice", "hello")
        has(said, "alice!", "GSSAPI")
        eq(site.sql("SELECT krb_principal FROM user_krb_principals"), "alice@EXAMPLE.TEST", "the principal")
        # A host that was given a principal by its administrator is found by that, whatever it is called.
        site.admin().call("addHost", "b1.example.com", ["x86_64"], krb_principal="compile/b1@EXAMPLE.TEST")
        has(site.with_keytab("compile/b1", "hello"), "b1.example.com!")
        has(site.with_keytab("koji/web", "--runas", "bob", "hello"), "bob!")
        said = site.with_keytab("alice", "--runas", "bob", "hello", code=None)
        that(said.code != 0, f"alice could log in bob\n{said}")
        eq(site.sql("SELECT name FROM users WHERE name LIKE 'koji%'"), "", "accounts of the proxy")

        before = site.sql("SELECT count(*) FROM sessions")
        site.hub.reload(LoginCreatesUser="off")
        status, _, _ = site.post("sslLogin", path=LOGIN, headers=negotiate(site.token("alice")))
        eq(status, 200, "a login after the reload")
        fault(site.post("sslLogin", path=LOGIN, headers=negotiate(site.token("carol"))), "Unknown user: carol@EXAMPLE.TEST")
        site.hub.reload(AllowedKrbRealms="OTHER.TEST")
        fault(site.post("sslLogin", path=LOGIN, headers=negotiate(site.token("alice"))), "realm: EXAMPLE.TEST is not allowed")
        site.hub.reload(AllowedKrbRealms="OTHER.TEST, EXAMPLE.TEST")
        site.admin().call("disableUser", "alice")
        fault(site.post("sslLogin", path=LOGIN, headers=negotiate(site.token("alice"))), "logins by alice are not allowed")
        eq(int(site.sql("SELECT count(*) FROM sessions")), int(before) + 2, "sessions: alice's and the administrator's")


@story(own=True)
def kerberos_refusals(own):
    """Messages that are missing, made up, changed, replayed, sent in the clear or for another service are refused."""
    with Site(own, kerberos=True) as site:
        def login(headers, url=None):
            return site.post("sslLogin", path=LOGIN, headers=headers, url=url)

        status, headers, _ = login({})
        eq((status, headers["WWW-Authenticate"]), (401, "Negotiate"), "the answer without a login")
        token = site.token("alice")
        changed = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
        for header in (negotiate("AAAA"), negotiate("%%%"), negotiate(changed), {"Authorization": "Basic YWxpY2U6eA=="}):
            eq(login(header)[0], 401, f"the status with {header}")
        eq(login(negotiate(token), site.hub.ready["hub"])[0], 403, "the status without TLS")
        status, headers, session = login(negotiate(token))
        eq(status, 200, "the status of the login")
        that(headers["WWW-Authenticate"].startswith("Negotiate "), "the hub proves who it is")
        user = site.post("getLoggedInUser", headers=session_headers(session))[2]
        eq((user["name"], user["authtype"]), ("alice", 3), "who is logged in, and how")
        eq(login(negotiate(token))[0], 401, "the status of the same message again")
        # The KDC has blocked the account: no new ticket.
        site.kdc.admin("modprinc -allow_tix alice")
        said = site.with_keytab("alice", "hello", code=None)
        that(said.code != 0, f"a blocked principal could log in\n{said}")
        # The hub's key was replaced: what is encrypted with another one is refused.
        site.hub.reload(AuthKeytab=site.kdc.keytab("HTTP/elsewhere"))
        eq(login(negotiate(site.token("bob")))[0], 401, "the status of a ticket for another service")
        fault(site.post("sslLogin", headers={"X-Remote-User": "admin"}, path=LOGIN), "x-remote-user", code=1002)
        eq(site.sql("SELECT count(*) FROM sessions"), "1", "sessions")


@story(own=True)
def kerberos_expired(own):
    """A ticket that is over is no login: not for the stock client, and not in a message that was made in time."""
    with Site(own, kerberos=True, skew=5) as site:
        token = site.token("alice", lifetime="4s")
        # A second more than the ticket's life and the difference that clocks may have.
        over = time.monotonic() + 4 + 5 + 1
        while run("klist", "-s", env=site.ticket_env("tokens"), code=None).code == 0:
            time.sleep(0.1)
        # Clocks may differ by five seconds.
        deadline = time.monotonic() + 60
        while (said := site.with_ticket("tokens", "hello", code=None)).code == 0:
            that(time.monotonic() < deadline, f"the stock client can log in with a ticket that is over\n{said}")
        while time.monotonic() < over:
            time.sleep(0.1)
        sessions = site.sql("SELECT count(*) FROM sessions")
        while "expired" not in site.hub.log_tail(1):
            that(time.monotonic() < deadline, f"the hub does not say that the ticket is over\n{site.hub.log_tail()}")
            eq(site.post("sslLogin", path=LOGIN, headers=negotiate(token))[0], 401, "the status of the late message")
            time.sleep(0.1)
        eq(site.sql("SELECT count(*) FROM sessions"), sessions, "sessions after the late message")
        # A principal that the realm has deleted gets no ticket; one that the hub has blocked gets no session.
        site.kdc.keytab("carol")
        site.kdc.admin("delprinc -force carol")
        said = run("kinit", "-k", "-t", site.kdc.dir / "carol.keytab", "carol", env=site.ticket_env("carol"), code=None)
        has(said.err, "not found in Kerberos database")
        site.token("alice")
        has(site.with_ticket("tokens", "hello"), "alice!")
        site.admin().call("disableUser", "alice")
        said = site.with_ticket("tokens", "hello", code=None)
        that(said.code != 0, f"a user who is blocked could log in\n{said}")
        has(said.err, "logins by alice are not allowed")


@story(own=True)
def certificates(own):
    """The stock client logs in with certificates at the hub's own TLS listener; old, revoked and foreign ones are refused."""
    with Site(own, hub={"ProxyDNs": "/C=US/O=Example/CN=web"}) as site:
        ca = site.authority
        alice, web, mail = ca.issue("alice"), ca.issue("web"), ca.issue("mail", subject="/CN=m/emailAddress=m@example.com")
        # Without TLSClientCA nobody is asked for a certificate.
        fault(site.post("sslLogin", certificate=alice, path=LOGIN), "could not verify client: None", code=1002)
        site.hub.conf["toji"].update(TLSClientCA=ca.ca, TLSClientCRL=ca.crl)
        site.hub.reload()
        has(site.with_certificate(alice, "hello"), "alice!", "client certificate")
        eq(site.sql("SELECT name FROM users WHERE id > 1"), "alice", "the account")
        has(site.with_certificate(web, "--runas", "bob", "hello"), "bob!")
        fault(site.post("sslLogin", "bob", certificate=alice, path=LOGIN), "/C=US/O=Example/CN=alice is not authorized")
        fault(site.post("sslLogin", path=LOGIN), "could not verify client: None", code=1002)
        site.hub.reload(DNUsernameComponent="Email")
        session = site.post("sslLogin", certificate=mail, path=LOGIN)[2]
        eq(site.post("getLoggedInUser", headers=session_headers(session))[2]["name"], "m@example.com", "the user by mail address")
        fault(site.post("sslLogin", certificate=alice, path=LOGIN), "unable to get user information (Email)")
        site.hub.reload(DNUsernameComponent="CN")

        old = ca.issue("old", when=("20200101000000Z", "20200102000000Z"))
        foreign = type(ca)(site.dir / "other", "Other Authority").issue("alice")
        turned_away(site, old)
        turned_away(site, foreign)
        turned_away(site, ca.issue("server2", "server"))
        session = site.post("sslLogin", certificate=alice, path=LOGIN)[2]
        ca.revoke("alice")
        site.hub.reload()
        turned_away(site, alice)
        # What was opened before goes on until it is ended: sessions end with the user's account, or their time.
        eq(site.post("getLoggedInUser", headers=session_headers(session))[2]["name"], "alice", "the session's user")
        site.hub.conf["toji"].update(TLSClientCertificates="required")
        site.hub.reload()
        turned_away(site, None)


def turned_away(site, certificate):
    """A connection with this certificate does not come to a login."""
    try:
        answer = site.post("sslLogin", path=LOGIN, certificate=certificate)
    except (ssl.SSLError, ConnectionError):
        return
    that(False, f"the certificate was accepted: {answer}")


@story(own=True)
def behind_nginx(own):
    """The stock client logs in through nginx; what clients say of themselves is refused."""
    with Site(own, kerberos=True, toji={"TrustedProxies": "127.0.0.2", "TrustedIdentity": "certificate"}) as site:
        alice, evil = site.authority.issue("alice"), site.authority.issue("evil")
        site.authority.revoke("evil")
        nginx = Nginx(site.dir / "nginx", site.hub.address, site.authority, site.server_certificate, "127.0.0.2").start()
        try:
            through_nginx(site, nginx, alice, evil)
        finally:
            nginx.stop()


def through_nginx(site, nginx, alice, evil):
    """What `behind_nginx` tells."""
    has(site.with_certificate(alice, "hello", url=nginx.hub), "alice!", "client certificate")
    has(site.with_keytab("carol", "hello", url=nginx.hub), "carol!", "GSSAPI")
    said = site.with_certificate(evil, "hello", url=nginx.hub, code=None)
    that(said.code != 0, f"a revoked certificate could log in\n{said}")
    sessions = site.sql("SELECT count(*) FROM sessions")
    # nginx overwrites its own headers; other spellings are refused by the hub.
    status, _, _ = site.post("sslLogin", url=nginx.hub, path=LOGIN, headers={
        "X-SSL-Client-Verify": "SUCCESS", "X-SSL-Client-S-DN": "/CN=admin", "X-Remote-User": "admin"})
    eq(status, 401, "the answer to headers that nginx replaces")
    for name in ("Remote-User", "SSL-Client-Verify", "X-SSL-Client-Cert", "X-Forwarded-User"):
        fault(site.post("sslLogin", url=nginx.hub, path=LOGIN, headers={name: "admin"}), name.lower(), code=1002)
    # Straight to the hub, from an address that is no front end's.
    forged = {"X-SSL-Client-Verify": "SUCCESS", "X-SSL-Client-S-DN": "/CN=admin"}
    for headers in (forged, {"X-Remote-User": "admin@EXAMPLE.TEST"}, {"REMOTE_USER": "admin"}, {"SSL_CLIENT_S_DN_CN": "admin"}):
        for url in (site.hub.ready["hub"], site.hub.tls):
            fault(site.post("sslLogin", url=url, path=LOGIN, headers=headers), "is not accepted", code=1002)
            fault(site.post("getLoggedInUser", url=url, headers=headers), "is not accepted", code=1002)
    eq(site.sql("SELECT count(*) FROM sessions"), sessions, "sessions after the forgeries")
    # The client's address is the one that nginx saw; others cannot set theirs.
    session = site.post("login", *ADMIN, url=nginx.hub)[2]
    eq(site.sql(f"SELECT hostip FROM sessions WHERE id = {session['session-id']}"), "127.0.0.1", "the address behind nginx")
    session = site.post("login", *ADMIN, url=site.hub.ready["hub"], headers={"X-Forwarded-For": "192.0.2.7"})[2]
    eq(site.sql(f"SELECT hostip FROM sessions WHERE id = {session['session-id']}"), "127.0.0.1", "the address of a liar")


@story(own=True)
def sessions(own):
    """Numbers of calls that are late or repeated, keys that are wrong, sessions that are over: refused."""
    with Site(own) as site:
        hub = site.hub.ready["hub"]

        def call(method, *args, session=None, callnum=None, **more):
            headers = session_headers(session, callnum) if session else {}
            return site.post(method, *args, url=hub, headers=headers, **more)

        admin = call("login", *ADMIN)[2]
        eq(call("createTag", "one", session=admin, callnum=5)[0], 200, "a call with a number")
        fault(call("createTag", "two", session=admin, callnum=5), "unable to retry call 5 (method createTag)", code=1009)
        fault(call("createTag", "two", session=admin, callnum=4), "5 > 4", code=1008)
        # Numbers of calls that changed nothing are not kept: they may be repeated.
        for _ in range(2):
            eq(call("getTag", "one", session=admin, callnum=7)[2]["name"], "one", "a repeated reading")
        fault(call("createTag", "two", session={**admin, "session-key": "1-x"}), "Invalid session or bad credentials", code=1002)
        query = f"?session-id={admin['session-id']}&session-key={admin['session-key']}"
        eq(call("getLoggedInUser", path=query)[2], None, "who a session in the URL is")

        child = call("subsession", session=admin)[2]
        eq(call("getLoggedInUser", session=child)[2]["name"], "admin", "the user of a subsession")
        call("logoutChild", child["session-id"], session=admin)
        fault(call("getLoggedInUser", session=child), "Invalid session", code=1002)
        child = call("subsession", session=admin)[2]
        call("logout", session=admin)
        fault(call("getLoggedInUser", session=admin), "Invalid session", code=1002)
        fault(call("getLoggedInUser", session=child), "Invalid session", code=1002)

        admin = call("login", *ADMIN)[2]
        call("createTag", "three", session=admin, callnum=9)
        site.sql(f"UPDATE sessions SET start_time = start_time - interval '2 days' WHERE id = {admin['session-id']}")
        fault(call("getLoggedInUser", session=admin, callnum=10), "has expired", code=1007)
        fault(call("login", "admin", "wrong", None, True, session=admin), "invalid username or password", code=1002)
        renewed = call("login", *ADMIN, None, True, session=admin, callnum=10)[2]
        eq(renewed["session-id"], admin["session-id"], "the renewed session")
        fault(call("getLoggedInUser", session=admin), "Invalid session", code=1002)
        eq(call("createTag", "four", session=renewed, callnum=0)[0], 200, "the numbers begin anew")
        eq(call("getTag", "four")[2]["name"], "four", "what the first call made")

        # Permissions and accounts are looked at in every call.
        site.sql("UPDATE user_perms SET active = NULL, revoke_event = get_event(), revoker_id = 1")
        fault(call("createTag", "five", session=renewed, callnum=1), "tag permission required")
        site.sql("UPDATE users SET status = 1")
        fault(call("getLoggedInUser", session=renewed), "logins by admin are not allowed", code=1002)


@story(own=True)
def hub_options(own):
    """Options are read anew at SIGHUP without dropping a call; a file with mistakes changes nothing."""
    with Site(own) as site:
        hub = site.hub.ready["hub"]
        waiting = socket.create_connection(site.hub.address.split(":"))
        body = xmlrpc.client.dumps((), "getKojiVersion").encode()
        head = f"POST /kojihub HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        waiting.sendall(head + body[:20])
        eq(site.post("getKojiVersion", url=hub)[2], "1.36.1", "a call after the one that waits")
        site.hub.reload(LockOut="on")
        fault(site.post("getKojiVersion", url=hub), "Server disabled for maintenance", code=1014)
        eq(site.admin().call("getKojiVersion"), "1.36.1", "what administrators get")
        site.hub.reload(ServerOffline="yes", OfflineMessage="back at ten")
        fault(site.post("login", *ADMIN, url=hub), "back at ten", code=1014)
        site.hub.reload("the configuration stays as it was", MaxJobs="many")
        fault(site.post("getKojiVersion", url=hub), "back at ten", code=1014)
        site.hub.reload(MaxJobs="3", ServerOffline="no", LockOut="no", KojiTraceback="extended", NoSuchOption="1")
        has(site.hub.log_tail(), "KojiTraceback is not honoured", "nosuchoption is not an option")
        lacks(site.hub.log_tail(), "MaxJobs is not")
        waiting.sendall(body[20:])
        answer = waiting.recv(65536)
        waiting.close()
        has(answer.decode(), "200 OK")
        eq(Hub(hub).call("getKojiVersion"), "1.36.1", "what everybody gets")
        eq(site.hub.stop(), 0, "the exit code after SIGTERM")


@story(own=True)
def two_hubs(own):
    """Two hubs share a database: sessions, what is tagged, and who makes a repository."""
    with Site(own) as site:
        conf = {section: dict(options) for section, options in site.hub.conf.items()}
        other = type(site.hub)(own.toji, own.dir / "hub2", conf)
        try:
            other.start()
            admin = site.admin()
            there = Hub(other.ready["hub"])
            # One session, used at both.
            there.session, there.callnum = admin.session, admin.callnum
            made = there.call("createTag", "f42", arches="x86_64")
            admin.callnum = there.callnum
            eq(admin.call("getTag", "f42")["id"], made, "the tag that the other hub made")
            there.callnum = admin.callnum
            request = there.call("repo.request", "f42")
            that(request["request"]["id"] > 0, f"a request: {request}")
            eq(site.sql("SELECT count(*) FROM task WHERE method = 'newRepo'") in ("0", "1"), True, "no second task for a repository")
            there.call("logout")
        finally:
            eq(other.stop(), 0, "the exit code of the second hub")


@story(own=True)
def profiles(own):
    """Toji's own programs log in as the stock client's profiles say: by tickets, keytab, certificate, password and not at all."""
    with Site(own, kerberos=True, hub={"DNUsernameComponent": "CN"}) as site:
        ca = site.authority
        site.hub.conf["toji"].update(TLSClientCA=ca.ca)
        site.hub.reload()
        site.token("alice")  # leaves tickets in the cache `tokens`
        keytab, alice = site.kdc.keytab("bob"), ca.issue("alice")
        home = site.dir / "home"
        (home / ".koji" / "config.d").mkdir(parents=True)
        base = f"server = {site.hub.tls}\nserverca = {ca.ca}\nmax_retries = 1\nretry_interval = 1\n"
        (home / ".koji" / "config").write_text(
            f"[tickets]\nauthtype = kerberos\n{base}\n[nobody]\nauthtype = noauth\n{base}\n"
            f"[keytab]\nprincipal = bob@EXAMPLE.TEST\nkeytab = {keytab}\n{base}\n[wrong]\nmax_retries = many\n")
        (home / ".koji" / "config.d" / "more.conf").write_text(
            f"[certificate]\ncert = ~/alice.pem\n{base}\n[password]\nuser = {ADMIN[0]}\npassword = {ADMIN[1]}\n{base}")
        (home / "alice.pem").write_bytes(alice.read_bytes())

        def admin(profile, code):
            env = {**site.ticket_env("tokens"), "HOME": str(home)}
            return run(Path(own.toji).resolve(), "admin", "builder-tokens", "--profile", profile, env=env, code=code)

        admin("password", 0)
        refused = "permission required"
        for profile, who in (("tickets", "alice@EXAMPLE.TEST"), ("keytab", "bob@EXAMPLE.TEST")):
            has(admin(profile, 1).err, refused)
            that(who in site.sql("SELECT krb_principal FROM user_krb_principals"), f"{who} was not logged in")
        before = int(site.sql("SELECT count(*) FROM sessions"))
        has(admin("certificate", 1).err, refused)
        eq(int(site.sql("SELECT count(*) FROM sessions")), before + 1, "sessions after the login by certificate")
        has(admin("nobody", 1).err, "not logged in")
        eq(int(site.sql("SELECT count(*) FROM sessions")), before + 1, "sessions after no login")
        has(admin("missing", 1).err, "no configuration for profile name: missing")
        has(admin("wrong", 1).err, "value for max_retries config option must be a valid integer")
