"""Reads all that brokers have stored and prints it as lines of JSON: `seq`, `key`, `id`. Runs with the packages of `.x/listeners`.

Usage: drain.py declare|read RABBIT-URL; drain.py nats NATS-URL STREAM [AUTHORITIES CERTIFICATE KEY]"""

import asyncio
import json
import ssl
import sys


def rabbit(action, url):
    import pika
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.queue_declare("toji", durable=True)
    channel.queue_bind("toji", "amq.topic", "toji.#")
    while action == "read":
        method, properties, body = channel.basic_get("toji", auto_ack=True)
        if method is None:
            break
        tell(json.loads(body), properties.message_id)
    channel.connection.close()


async def stored(url, stream, authorities=None, *client):
    import nats
    options = {}
    if authorities:
        options["tls"] = ssl.create_default_context(cafile=authorities)
        options["tls"].load_cert_chain(*client)
    link = await nats.connect(url, **options)
    manager = link.jsm()
    state = (await manager.stream_info(stream)).state
    for seq in range(state.first_seq, state.last_seq + 1):
        found = await manager.get_msg(stream, seq)
        tell(json.loads(found.data), found.headers["Nats-Msg-Id"])
    await link.close()


def tell(event, number):
    print(json.dumps({"seq": event["seq"], "key": event["key"], "id": number}))


if __name__ == "__main__":
    if sys.argv[1] == "nats":
        asyncio.run(stored(*sys.argv[2:]))
    else:
        rabbit(*sys.argv[1:])
