"""What a program in Python does over gRPC, with a client that was generated from the files of the repository.

    grpc_program.py DEED ADDRESS PROTO-DIRECTORY ARGUMENT…

It runs in the environment that has grpcio, and prints what it saw as JSON.
"""

import base64
import hashlib
import json
import sys
import threading
import time
from pathlib import Path

import grpc
from doors_client import Fault, Grpc, generate

OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
STATES = ["FREE", "OPEN", "CLOSED", "CANCELED", "ASSIGNED", "FAILED"]


class Program(Grpc):
    """The generated client, with what every deed needs."""

    def __init__(self, address, proto, channel=None):
        self.modules = generate(proto)
        super().__init__(address, self.modules)
        if channel:
            self.channel = channel
            self.typed, self.named = self.modules[2].HubStub(channel), self.modules[4].CallsStub(channel)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.call(name, list(args), kwargs)

    def login(self, user, password):
        """Makes this the session of a user."""
        self.session = self.call("login", [user, password], {})

    def many(self, batches, strict=False):
        """Sends batches over a stream; returns the answers to each, with how many failed."""
        calls = self.calls

        def sent():
            if strict:
                yield calls.MulticallRequest(options=calls.Options(strict=True))
            for at, batch in enumerate(batches):
                for number, (method, *args) in enumerate(batch):
                    call = calls.CallRequest(id=100 * at + number, method=method, args=[self.of(arg) for arg in args])
                    yield calls.MulticallRequest(call=call)
                if at + 1 < len(batches):
                    yield calls.MulticallRequest(commit=calls.Commit())

        answers, found = [], []
        for said in self.named.Multicall(sent(), metadata=self.metadata()):
            if said.WhichOneof("message") == "done":
                found.append({"answers": answers, "calls": said.done.calls, "failed": said.done.failed})
                answers = []
            elif said.answer.WhichOneof("outcome") == "fault":
                answers.append([said.answer.id, said.answer.fault.code, said.answer.fault.name, said.answer.fault.message])
            else:
                answers.append([said.answer.id, self.to(said.answer.result)])
        return found


def story(hub, user, password, target, source, nvr):
    """Logs in, uploads, submits, is told when the task changes, and reads what was built."""
    hub.login(user, password)
    content = Path(source).read_bytes()
    step, name = 1 << 20, Path(source).name
    for offset in range(0, len(content), step):
        part = content[offset:offset + step]
        assert hub.uploadFile("cli-build/grpc", name, len(part), hashlib.md5(part).hexdigest(), offset, base64.b64encode(part).decode())
    task = hub.build(f"cli-build/grpc/{name}", target, {})
    seen = []
    while not seen or seen[-1] not in ("CLOSED", "CANCELED", "FAILED"):
        state = STATES[hub.getTaskInfo(task)["state"]]
        if not seen or seen[-1] != state:
            seen.append(state)
        time.sleep(0.1)
    try:
        result = hub.getTaskResult(task)
    except Fault as fault:
        result = fault.args
    children = [(t["method"], STATES[t["state"]]) for t in hub.getTaskChildren(task)]
    build = hub.getBuild(nvr)
    tagged = [b["nvr"] for b in hub.listTagged(target)]
    rpms = sorted(f"{r['name']}.{r['arch']}" for r in hub.listBuildRPMs(nvr))
    hub.logout()
    try:
        hub.createTag("nobody may")
        raise SystemExit("the session goes on after its end")
    except Fault as fault:
        after = fault.args[0]
    return {"task": task, "states": seen, "result": result, "children": children, "build": build and build["state"], "tagged": tagged,
            "rpms": rpms, "typed": hub.was_typed, "after": after}


def multicall(hub, user, password, tag):
    """Streams of calls: several batches, a strict one that fails, one that is cancelled in its middle."""
    hub.login(user, password)
    two = hub.many([[("createTag", tag), ("createTag", tag), ("getTag", tag)], [("editTag2", tag, {"__starstar": True, "arches": "x86_64"})]])
    strict = hub.many([[("createTag", f"{tag}-strict"), ("createTag", tag), ("getTag", tag)]], strict=True)
    many = hub.many([[("echo", number) for number in range(3000)]])
    calls, going_on = hub.calls, threading.Event()

    def cut():
        yield calls.MulticallRequest(call=calls.CallRequest(id=1, method="createTag", args=[hub.of(f"{tag}-first")]))
        yield calls.MulticallRequest(commit=calls.Commit())
        yield calls.MulticallRequest(call=calls.CallRequest(id=2, method="createTag", args=[hub.of(f"{tag}-cut")]))
        going_on.wait(60)

    stream = hub.named.Multicall(cut(), metadata=hub.metadata())
    answered = [next(stream).WhichOneof("message"), next(stream).WhichOneof("message")]
    stream.cancel()
    try:
        next(stream)
        cancelled = "it goes on"
    except grpc.RpcError as error:
        cancelled = error.code().name
    going_on.set()
    # The session is free again, and the batch without an end was not begun.
    left = [bool(hub.getTag(f"{tag}-{name}")) for name in ("strict", "first", "cut")]
    return {"two": two, "strict": strict, "many": [many[0]["calls"], many[0]["failed"], [a[1] for a in many[0]["answers"]] == [[n] for n in range(3000)]],
            "answered": answered, "cancelled": cancelled, "left": left}


def waits(hub, *_):
    """Two calls that do not end by themselves: one has a deadline, one is cancelled when the caller says so."""
    request = hub.modules[1].GetTagRequest(tagInfo=hub.of("anything"))
    begin = time.monotonic()
    try:
        hub.typed.GetTag(request, timeout=1.0)
        late = "an answer"
    except grpc.RpcError as error:
        late = error.code().name
    took = time.monotonic() - begin
    call = hub.typed.GetTag.future(request)
    print("waiting", flush=True)
    sys.stdin.readline()
    call.cancel()
    print("cancelled", flush=True)
    sys.stdin.readline()
    return {"late": late, "took": took}


def secure(hub, user, password):
    """A call without and one with a session, over TLS."""
    before = hub.getLoggedInUser()
    hub.login(user, password)
    return {"before": before, "after": hub.getLoggedInUser()["name"], "batch": hub.many([[("echo", 1)]])[0]["answers"]}


def hostile(hub, limit):
    """Messages that are too long, compressed bombs, nested, cut, and not messages at all; each with its status."""
    limit, found = int(limit), {}
    value = lambda content: b"\x1a" + varint(len(content)) + content  # noqa: E731 (the first argument of Calls/Call)
    echo = b"\x12\x04echo"

    def send(name, message, compression=None, method="/toji.hub.v1.Calls/Call"):
        raw = hub.channel.unary_unary(method, request_serializer=lambda m: m, response_deserializer=lambda m: m)
        try:
            found[name] = len(raw(message, compression=compression, timeout=120))
        except grpc.RpcError as error:
            found[name] = error.code().name

    plain = grpc.Compression.NoCompression
    send("empty", b"", plain)
    send("sound", echo + value(b"\x18\x05"), plain)
    send("long", echo + value(b"\x2a" + varint(limit) + b"x" * limit), plain)
    send("bomb", echo + value(b"\x2a" + varint(limit * 64) + b"x" * (limit * 64)), grpc.Compression.Gzip)
    send("packed", echo + value(b"\x2a" + varint(limit // 2) + b"x" * (limit // 2)), grpc.Compression.Gzip)
    nested = b""
    for _ in range(100):
        nested = b"\x42" + varint(len(nested) + 1 + len(varint(len(nested)))) + b"\x0a" + varint(len(nested)) + nested
    send("nested", echo + value(nested), plain)
    many = b"\x0a\x00" * (limit // 2 - 100)
    send("many", echo + value(b"\x42" + varint(len(many)) + many), plain)
    sound = echo + value(b"\x2a\x03abc")
    found["cut"] = sorted({cut(send, found, sound[:end]) for end in range(1, len(sound))}, key=str)
    send("noise", bytes(range(256)) * 40, plain)
    send("typed noise", b"\xff" * 40, plain, "/toji.hub.v1.Hub/GetTag")
    stream = hub.channel.stream_stream("/toji.hub.v1.Calls/Multicall", request_serializer=lambda m: m, response_deserializer=lambda m: m)
    for name, messages in (("stream of noise", [b"\xff" * 20]), ("stream that is long", [message_of(limit // 4)] * 8),
                           ("stream with a bomb", [message_of(limit * 64)])):
        try:
            found[name] = len(list(stream(iter(messages), timeout=120, compression=grpc.Compression.Gzip)))
        except grpc.RpcError as error:
            found[name] = error.code().name
    # The server is as it was.
    send("sound after all", echo + value(b"\x18\x05"), plain)
    return found


def cut(send, found, message):
    """The status of a message without its end."""
    send("one", message, grpc.Compression.NoCompression)
    return found.pop("one")


def message_of(size):
    """A call of a multicall that echoes so many letters."""
    text = b"\x2a" + varint(size) + b"x" * size
    call = b"\x12\x04echo" + b"\x1a" + varint(len(text)) + text
    return b"\x12" + varint(len(call)) + call


def varint(number):
    """A number as protocol buffers have it."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def main(deed, address, proto, *args):
    """Does one deed."""
    if deed == "secure":
        ca, *args = args
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(Path(ca).read_bytes()), OPTIONS)
    else:
        channel = grpc.insecure_channel(address, OPTIONS)
    deeds = {"story": story, "multicall": multicall, "waits": waits, "secure": secure, "hostile": hostile}
    print(json.dumps(deeds[deed](Program(address, proto, channel), *args)))


if __name__ == "__main__":
    main(*sys.argv[1:])
