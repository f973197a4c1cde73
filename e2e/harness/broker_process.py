"""A small message broker for tests: keeps what is sent to any address as files. Needs Qpid Proton.

Usage: broker_process.py DIRECTORY PORT [CERTIFICATE AUTHORITIES]"""

import json
import os
import sys
from pathlib import Path

from proton import SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import Container


class Keeper(MessagingHandler):
    """Accepts links to all addresses, and every message but those to an address with `refused` in it."""

    def __init__(self, directory, port, certificate=None, authorities=None):
        super().__init__(auto_accept=False)
        self.directory, self.port = Path(directory), port
        self.number = len(list(self.directory.glob("*.json")))
        self.tls = None
        if certificate:
            self.tls = SSLDomain(SSLDomain.MODE_SERVER)
            self.tls.set_credentials(certificate, certificate, None)
            self.tls.set_trusted_ca_db(authorities)
            self.tls.set_peer_authentication(SSLDomain.VERIFY_PEER, authorities)

    def on_start(self, event):
        scheme = "amqps" if self.tls else "amqp"
        event.container.listen(f"{scheme}://127.0.0.1:{self.port}", ssl_domain=self.tls)
        (self.directory / "listens").touch()

    def on_link_opening(self, event):
        event.link.target.address = event.link.remote_target.address

    def on_message(self, event):
        message, address = event.message, event.receiver.target.address
        if "refused" in address:
            self.reject(event.delivery)
            return
        self.number += 1
        kept = {
            "address": address, "body": message.body, "properties": message.properties, "ttl": message.ttl,
            "types": {name: type(value).__name__ for name, value in message.properties.items()},
            "user": event.transport.user,
        }
        path = self.directory / f"{self.number:05}.json"
        path.with_suffix(".draft").write_text(json.dumps(kept))
        os.rename(path.with_suffix(".draft"), path)
        self.accept(event.delivery)


if __name__ == "__main__":
    Container(Keeper(*sys.argv[1:])).run()
