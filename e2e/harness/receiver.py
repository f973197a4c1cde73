"""A mail server for tests: writes its port and each message it gets into a directory. Needs aiosmtpd.

Usage: receiver.py DIRECTORY"""

import asyncio
import json
import os
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP


class Keeper:
    """Keeps messages as files, each complete from the moment it has its name."""

    def __init__(self, directory):
        self.directory, self.number = directory, 0

    async def handle_DATA(self, server, session, envelope):
        """Keeps a message with its recipients."""
        self.number += 1
        path = self.directory / f"{self.number:04}.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"to": envelope.rcpt_tos, "from": envelope.mail_from,
                                     "content": envelope.content.decode("utf-8", "replace")}))
        os.rename(draft, path)
        return "250 kept"


async def main(directory):
    """Serves until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Keeper(directory), enable_SMTPUTF8=True), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (directory / "port.draft").write_text(str(port))
    os.rename(directory / "port.draft", directory / "port")
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
