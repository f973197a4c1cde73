"""Messages of the hub at a real broker, by AMQP 1.0, as Koji's plugin protonmsg sends them."""

import json

from harness import stock
from harness.authority import Authority
from harness.broker import Broker
from harness.server import Server
from harness.story import eq, story, that


def configured(own, broker, **more):
    """A server, not started, whose data directory has a hub.conf with the plugin."""
    server = Server(own.toji, own.dir / "server")
    (server.data / "plugins").mkdir(parents=True)
    (server.data / "hub.conf").write_text("[hub]\nPlugins = protonmsg\n")
    broker_options = {"urls": broker.url, "connect_timeout": 5, "send_timeout": 20, **more}
    queue = {"enabled": "true", "batch_size": 3}
    stock.conf(server.data / "plugins" / "protonmsg.conf", broker=broker_options, message={"ttl": 60}, queue=queue)
    return server


def about(package):
    """Whether a message is about a package."""
    return lambda message: message["properties"].get("package") == package


@story(own=True, slow=True)
def until_the_broker_has_them(own):
    """Messages have Koji's address, properties and body; they outlast an outage of the broker and a killed hub."""
    with Broker(stock.python(own.koji_program), own.dir / "broker") as broker:
        server = configured(own, broker, topic_prefix="koji").start()
        try:
            w = own.world(server)
            admin = w.ready["admin_user"]
            w.koji("add-tag", "f40")
            w.koji("add-pkg", "--owner", admin, "f40", "before")
            broker.start()
            message = broker.wait(about("before"), "from before the broker was there")
            eq(message["address"], "topic://koji.package.add")
            properties = {"type": "PackageListChange", "tag": "f40", "package": "before", "action": "add", "user": admin}
            eq(message["properties"], properties)
            eq(message["ttl"], 60.0)
            body = json.loads(message["body"])
            eq((body["tag"]["name"], body["package"]["name"], body["action"], body["force"]), ("f40", "before", "add", False))

            task = w.hub.call("makeTask", "sleep", [0])
            w.hub.wait(task)
            closed = lambda m: m["address"] == "topic://koji.task.closed" and m["properties"]["id"] == task
            message = broker.wait(closed, "of the task's end")
            eq(message["properties"]["parent"], None)
            eq([message["types"][name] for name in ("id", "method", "parent")], ["int", "str", "NoneType"])

            broker.stop()
            for n in range(7):
                w.koji("add-pkg", "--owner", admin, "f40", f"meanwhile{n}")
            server.kill()
            server.start()
            broker.start()
            for n in range(7):
                broker.wait(about(f"meanwhile{n}"), f"{n} of a broker's outage and a killed hub")
            order = [m["properties"]["package"] for m in broker.messages() if "package" in m["properties"]]
            seen = list(dict.fromkeys(order))
            eq(seen, ["before", *(f"meanwhile{n}" for n in range(7))], "the order of the messages")
            eq(server.stop(), 0, "the exit code after SIGTERM")
        finally:
            if server.alive():
                server.kill()


@story(own=True)
def with_a_certificate(own):
    """Brokers with TLS know the hub by its certificate, and the hub knows them."""
    authority = Authority(own.dir / "authority")
    client, certificate = authority.issue("koji-hub"), authority.issue("broker", kind="server")
    with Broker(stock.python(own.koji_program), own.dir / "broker", certificate, authority.ca) as broker:
        broker.start()
        server = configured(own, broker, cert=client, cacert=authority.ca, topic_prefix="/topic/koji").start()
        try:
            w = own.world(server)
            w.koji("add-tag", "f40")
            w.koji("add-pkg", "--owner", w.ready["admin_user"], "f40", "hello")
            message = broker.wait(about("hello"), "over TLS")
            eq(message["address"], "/topic/koji.package.add")
            that("koji-hub" in (message["user"] or ""), f"the broker knows the hub: {message['user']}")
        finally:
            server.kill()
