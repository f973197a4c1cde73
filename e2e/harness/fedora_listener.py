"""What a user of `fedora-messaging` writes: a consumer that keeps what it hears as files. Runs with the packages of `.x/listeners`.

Usage: fedora_listener.py URL DIRECTORY."""

import json
import os
import sys
from pathlib import Path

from fedora_messaging import api, config, message

url, directory = sys.argv[1], Path(sys.argv[2])
# Read first: what is set before is lost.
config.conf.load_config()
config.conf["amqp_url"] = url
config.conf["topic_prefix"] = ""


def keep(heard):
    """A message that the schema class of its headers has taken, with what that class makes of it."""
    heard.validate()
    found = {
        "class": type(heard).__module__ + "." + type(heard).__name__, "topic": heard.topic, "id": heard.id, "body": heard.body,
        "severity": heard.severity, "priority": heard.priority, "headers": heard._headers, "summary": heard.summary,
        "text": str(heard), "usernames": heard.usernames, "packages": heard.packages, "agent": heard.agent_name,
    }
    # What the class itself would publish under these: the headers to compare with.
    fresh = type(heard)(topic=heard.topic, body=heard.body)
    found["fresh"] = {name: value for name, value in fresh._headers.items()}
    path = directory / f"{len(list(directory.glob('*.json'))):04}.json"
    path.with_suffix(".draft").write_text(json.dumps(found))
    os.rename(path.with_suffix(".draft"), path)


queues = {"toji": {"durable": True, "auto_delete": False, "exclusive": False, "arguments": {}}}
bindings = [{"queue": "toji", "exchange": "amq.topic", "routing_keys": ["org.example.test.buildsys.#"]}]
if __name__ == "__main__":
    message.load_message_classes()
    api.consume(keep, bindings=bindings, queues=queues)
