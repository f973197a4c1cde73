"""Sends the same calls through every door and says where answers or faults differ; runs in the environment that has grpcio.

    doors_client.py HUB-URL GRPC-ADDRESS PROTO-DIRECTORY USER PASSWORD

It makes its gRPC client from the files of the repository, as any other program would.
"""

import base64
import importlib
import json
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client
from pathlib import Path

import grpc
from google.rpc import error_details_pb2, status_pb2  # noqa: F401 (the pool must know the details)
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc

# Answers that tell of the session, of the moment or of the door.
OWN = {"showSession", "getSessionInfo", "system.listMethods", "login", "sslLogin"}


# As Koji's clients write integers.
xmlrpc.client.Marshaller.dispatch[int] = lambda _, value, write: write(f"<value><i8>{value}</i8></value>")


class Fault(Exception):
    """A failed call."""


def generate(proto):
    """Makes the client's modules; returns them."""
    out = tempfile.mkdtemp()
    files = [f"toji/hub/v1/{name}.proto" for name in ("value", "hub", "calls")]
    if protoc.main(["", f"-I{proto}", f"--python_out={out}", f"--grpc_python_out={out}", *files]) != 0:
        raise SystemExit("the protocol does not compile")
    sys.path.insert(0, out)
    names = ["value_pb2", "hub_pb2", "hub_pb2_grpc", "calls_pb2", "calls_pb2_grpc"]
    return [importlib.import_module(f"toji.hub.v1.{name}") for name in names]


class Xml:
    """The door that Koji has."""

    name = "XML-RPC"

    def __init__(self, url):
        self.url, self.session = url, None

    def call(self, method, args, kwargs):
        if kwargs:
            args = [*args, {**kwargs, "__starstar": True}]
        body = xmlrpc.client.dumps(tuple(args), method, allow_none=True).encode()
        headers = {"Content-Type": "text/xml", **session_headers(self.session)}
        with urllib.request.urlopen(urllib.request.Request(self.url, body, headers), timeout=60) as answer:
            text = answer.read()
        try:
            return plain(xmlrpc.client.loads(text, use_builtin_types=False)[0][0])
        except xmlrpc.client.Fault as fault:
            raise Fault(fault.faultCode, fault.faultString) from None


class JsonRpc:
    """JSON-RPC 2.0."""

    name = "JSON-RPC"

    def __init__(self, url):
        self.url, self.session = urllib.parse.urljoin(url, "/api/rpc"), None

    def send(self, document, query=""):
        return post(self.url + query, document, session_headers(self.session))[1]

    def call(self, method, args, kwargs):
        params = kwargs if kwargs and not args else [*args, {**kwargs, "__starstar": True}] if kwargs else args
        answer = self.send({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
        if answer.get("id") != 7:
            raise SystemExit(f"the answer has another id: {answer}")
        if "error" in answer:
            raise Fault(answer["error"]["code"], answer["error"]["message"])
        return marked(answer["result"])


class Resource:
    """The calls as resources of HTTP; reading ones by GET, too."""

    name = "HTTP"

    def __init__(self, url):
        self.url, self.session = urllib.parse.urljoin(url, "/api/v1/"), None

    def call(self, method, args, kwargs):
        # Both forms at a time are a matter of positional parameters, which have no names here.
        document = args if args else kwargs
        headers = session_headers(None)
        if self.session:
            headers = {"Authorization": "Bearer %s:%s" % (self.session["session-id"], self.session["session-key"])}
        status, answer = post(self.url + method, document, headers)
        if status == 200:
            return marked(answer)
        if answer.get("status") != status or answer.get("type") != "about:blank":
            raise SystemExit(f"a fault of a wrong form: {status} {answer}")
        raise Fault(answer["code"], answer["detail"])


class Grpc:
    """The typed methods, and calls by name for what types cannot say."""

    name = "gRPC"

    def __init__(self, address, modules):
        self.value, self.hub, hub_grpc, self.calls, calls_grpc = modules
        options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
        self.channel = grpc.insecure_channel(address, options, compression=grpc.Compression.Gzip)
        self.typed, self.named = hub_grpc.HubStub(self.channel), calls_grpc.CallsStub(self.channel)
        self.session, self.was_typed = None, 0

    def metadata(self):
        return [(key.lower(), value) for key, value in session_headers(self.session).items()]

    def call(self, method, args, kwargs):
        try:
            request = self.request(method, args, kwargs)
            if request is None:
                request = self.calls.CallRequest(method=method, args=[self.of(arg) for arg in args])
                for key, value in kwargs.items():
                    request.kwargs[key].CopyFrom(self.of(value))
                return self.to(self.named.Call(request, metadata=self.metadata()).result)
            self.was_typed += 1
            answer = getattr(self.typed, pascal(method))(request, metadata=self.metadata())
        except grpc.RpcError as error:
            raise rich(error) from None
        return self.result(answer)

    def request(self, method, args, kwargs):
        """The typed request, or nothing if the types cannot say it."""
        made = getattr(self.hub, pascal(method) + "Request", None)
        if made is None:
            return None
        request, kwargs = made(), dict(kwargs)
        fields = list(made.DESCRIPTOR.fields)
        is_map = lambda f: f.message_type is not None and f.message_type.GetOptions().map_entry  # noqa: E731
        plain_fields = [f for f in fields if not f.is_repeated]
        rest = [f for f in fields if f.is_repeated and not is_map(f)]
        more = [f for f in fields if is_map(f)]
        if len(args) > len(plain_fields) and not rest:
            return None
        try:
            for field, arg in zip(plain_fields, args):
                self.set(request, field, arg)
            for arg in args[len(plain_fields):]:
                getattr(request, rest[0].name).append(self.of(arg))
            for key, arg in kwargs.items():
                field = made.DESCRIPTOR.fields_by_name.get(key)
                if field is not None and field in plain_fields and plain_fields.index(field) >= len(args):
                    self.set(request, field, arg)
                elif field is not None and field in rest:
                    getattr(request, key).extend(self.of(item) for item in arg)
                elif field is None and more:
                    getattr(request, more[0].name)[key].CopyFrom(self.of(arg))
                else:
                    return None
        except TypeError:
            return None
        return request

    def set(self, request, field, arg):
        if field.message_type is not None and field.message_type.name == "Value":
            getattr(request, field.name).CopyFrom(self.of(arg))
        elif field.message_type is not None:
            raise TypeError
        elif type(arg) is not {"bool": bool, "int64": int, "double": float, "string": str}[
                {8: "bool", 3: "int64", 1: "double", 9: "string"}[field.type]]:
            raise TypeError
        else:
            setattr(request, field.name, arg)

    def result(self, answer):
        field = answer.DESCRIPTOR.fields_by_name["result"]
        value = answer.result
        if field.is_repeated:
            return [self.to(item) for item in value]
        if field.message_type is None:
            return None if field.has_presence and not answer.HasField("result") else value
        if field.message_type.name == "Struct":
            return {key: self.to(item) for key, item in value.members.items()}
        return self.to(value)

    def of(self, value):
        made = self.value.Value
        if value is None:
            return made(nil_value=0)
        if isinstance(value, bool):
            return made(bool_value=value)
        if isinstance(value, int):
            return made(int_value=value)
        if isinstance(value, float):
            return made(double_value=value)
        if isinstance(value, str):
            return made(string_value=value)
        if isinstance(value, bytes):
            return made(bytes_value=value)
        if isinstance(value, dict):
            out = made()
            out.struct_value.SetInParent()
            for key, item in value.items():
                out.struct_value.members[key].CopyFrom(self.of(item))
            return out
        out = made()
        out.list_value.SetInParent()
        out.list_value.items.extend(self.of(item) for item in value)
        return out

    def to(self, value):
        kind = value.WhichOneof("kind")
        if kind in (None, "nil_value"):
            return None
        if kind == "list_value":
            return [self.to(item) for item in value.list_value.items]
        if kind == "struct_value":
            return {key: self.to(item) for key, item in value.struct_value.members.items()}
        return getattr(value, kind)


def rich(error):
    """The fault in the details of a status."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and info.domain == "koji":
                    return Fault(int(info.metadata["faultCode"]), status.message)
    return SystemExit(f"a status without a fault: {error}")


def pascal(method):
    """The name of a call in gRPC."""
    parts = [part for word in method.split(".") for part in word.split("_")]
    return "".join(part[:1].upper() + part[1:] for part in parts)


def session_headers(session):
    if not session:
        return {}
    return {"Koji-Session-Id": str(session["session-id"]), "Koji-Session-Key": session["session-key"]}


def post(url, document, headers):
    """Sends JSON; returns the status and the answer."""
    body = json.dumps(encoded(document)).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def encoded(value):
    """A value as the JSON doors take it."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        keys = {key: ("$" + key if len(value) == 1 and key.startswith("$") else key) for key in value}
        return {keys[key]: encoded(item) for key, item in value.items()}
    return [encoded(item) for item in value] if isinstance(value, (list, tuple)) else value


def marked(value):
    """A value of JSON, with bytes as bytes."""
    if isinstance(value, list):
        return [marked(item) for item in value]
    if isinstance(value, dict):
        if list(value) == ["$bytes"]:
            return base64.b64decode(value["$bytes"])
        if len(value) == 1 and next(iter(value)).startswith("$$"):
            return {key[1:]: marked(item) for key, item in value.items()}
        return {key: marked(item) for key, item in value.items()}
    return value


def plain(value):
    """A value of XML-RPC, with bytes as bytes."""
    if isinstance(value, xmlrpc.client.Binary):
        return value.data
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def typed(value):
    """A value in which 1, 1.0 and true differ."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return (type(value).__name__, value)


def outcome(door, method, args, kwargs):
    try:
        return ["answer", typed(door.call(method, args, kwargs))]
    except Fault as fault:
        return ["fault", *fault.args]


def cases(url):
    """Calls of every declared method: none of its parameters, its example, a name that it does not know, an odd value; each with whether
    an administrator may send it without a change."""
    document = json.loads(urllib.request.urlopen(urllib.parse.urljoin(url, "/api/openapi.json"), timeout=60).read())
    for path, operations in sorted(document["paths"].items()):
        method = path.removeprefix("/api/v1/")
        if method in OWN:
            continue
        content = operations["post"]["requestBody"]["content"]["application/json"]
        schema, example, reads = content["schema"], content.get("example"), "get" in operations
        yield method, [], {}, reads or bool(schema.get("required"))
        rest = [name for name, one in schema["properties"].items() if "any number" in one.get("description", "")]
        if example and any(name in example for name in rest):
            yield method, [value for name, value in example.items() if name not in rest] + example[rest[0]], {}, reads
        elif example:
            yield method, [], example, reads
        if not schema["additionalProperties"]:
            yield method, [], {"no such parameter": 1}, True
        for name, one in schema["properties"].items():
            if not one:
                yield method, [], {**(example or {}), name: 987654321}, reads
                break


# Values on the edges of what the doors can say, through a call that returns them.
VALUES = [None, True, 0, 1, -1, 2**31 - 1, -2**31, 2**31, 2**53 + 1, 2**63 - 1, -2**63, 1.0, -0.5, 1e300, 0.1, "", "é\u4e2d\U0001f600",
          "<&>\"'", "a\tb\nc", b"", bytes(range(256)), [], {}, [[], [[]]], {"a": {"b": [None, 1.5]}}, {"$bytes": "x"}, {"$$": 1},
          {"$x": 1, "y": 2}]


def main(url, address, proto, user, password):
    grpc_door = Grpc(address, generate(proto))
    xml = Xml(url)
    doors = [JsonRpc(url), Resource(url), grpc_door]
    todo = [("echo", [value], {}, True) for value in VALUES] + [("echo", VALUES, {}, True)] + list(cases(url))
    login = xml.call("login", [user, password], {})
    different, faults, answers = [], 0, 0
    for session in (None, login):
        for door in (xml, *doors):
            door.session = session
        for method, args, kwargs, harmless in todo:
            if session and not harmless:
                continue
            for attempt in range(3):
                before = outcome(xml, method, args, kwargs)
                others = {door.name: outcome(door, method, args, kwargs) for door in doors}
                wrong = {name: said for name, said in others.items() if said != before}
                # What changes by itself is asked again.
                if not wrong:
                    break
                time.sleep(0.05 * attempt)
            if wrong:
                different.append({"call": [method, repr(args), repr(kwargs)], "admin": bool(session), "XML-RPC": repr(before)[:600],
                                  **{name: repr(said)[:600] for name, said in wrong.items()}})
            elif before[0] == "fault":
                faults += 1
            else:
                answers += 1
    # Tools do not compress what they ask.
    tools = grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)])
    database = ProtoReflectionDescriptorDatabase(tools)
    health = health_pb2_grpc.HealthStub(tools).Check(health_pb2.HealthCheckRequest(service="toji.hub.v1.Hub"))
    print(json.dumps({"answers": answers, "faults": faults, "typed": grpc_door.was_typed, "different": different,
                      "services": sorted(database.get_services()), "health": health.status}))


if __name__ == "__main__":
    main(*sys.argv[1:])
