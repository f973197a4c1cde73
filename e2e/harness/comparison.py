"""Comparing an answer with the recorded one: types count, moments and random values do not."""

import json
import re
from pathlib import Path

# Calls whose answers tell of the moment, the session or the hub itself.
PASSING_CALLS = {"getSessionInfo", "showSession", "_listapi", "showOpts", "getLastEvent", "sslLogin"}
PASSING_KEYS = {"key", "session-id", "session-key", "update_time", "update_ts", "renew_time", "renew_ts",
                "start_ts_session"}
# In a story that writes, ids and times follow the moment as well.
STORY_KEYS = re.compile(r"id|ts|.*_(time|ts|id)|.*event.*")

# What the table says of answers whose rows have no order of their own.
ANY_ORDER = "the same rows, by id or name"


class Comparison:
    """How the answers of one recording are compared."""

    def __init__(self, topdir, story=False, table=()):
        self.topdir, self.story, self.table = str(topdir).rstrip("/"), story, table

    def differences(self, step, answer):
        """What differs between a recorded step and an answer, as lines; None if the call is not compared."""
        if step["method"] in PASSING_CALLS or step.get("any"):
            return None
        answer = json.loads(json.dumps(answer).replace(self.topdir, "@TOPDIR@"))
        return self.compare(step, answer)

    def compare(self, step, answer):
        """The differences of one call; of a multicall, those of each call in it."""
        inner = calls_within(step, answer)
        if inner:
            found = [(n, self.compare(*pair)) for n, pair in enumerate(inner) if pair[0]["method"] not in PASSING_CALLS]
            return [f"[{n}]{line}" for n, lines in found for line in lines]
        kind, ours = kind_of(step), kind_of(answer)
        if kind != ours:
            found = [f"recorded {short(step[kind])}, got {short(answer[ours])}"]
        elif kind == "fault" and step["fault"]["faultCode"] == 1 == answer["fault"]["faultCode"]:
            found = []  # an error that the recorded hub did not expect; its text is that of some library
        else:
            found = list(self.walk(step[kind], answer[ours], ""))
            if found and kind == "result" and (step.get("unordered") or self.unordered(step)):
                found = list(self.walk(in_order(step[kind]), in_order(answer[ours]), ""))
                if found and options_of(step).get("limit") and len(step[kind]) == len(answer[ours]):
                    found = []  # some rows of many, without an order: these or others
        if found and any(row.allows(step, answer) for row in self.table):
            return []
        return found

    def unordered(self, step):
        """Whether the table says that the rows of this call's answer have no order."""
        named = any(row.ours == ANY_ORDER and row.names(step) for row in self.table)
        return named and not options_of(step).get("order")

    def walk(self, left, right, path):
        """The places at which two values differ."""
        if left == "@ANY@":
            return
        if type(left) is not type(right):
            yield f"{path}: {short(left)} != {short(right)}"
        elif isinstance(left, dict):
            for key in sorted(left.keys() | right.keys()):
                if key in PASSING_KEYS or self.story and STORY_KEYS.fullmatch(key):
                    continue
                if key not in left or key not in right:
                    yield f"{path}.{key}: {'additional' if key in right else 'missing'}"
                else:
                    yield from self.walk(left[key], right[key], f"{path}.{key}")
        elif isinstance(left, list):
            if len(left) != len(right):
                yield f"{path}: {len(left)} items, got {len(right)}"
                return
            for n, pair in enumerate(zip(left, right)):
                yield from self.walk(*pair, f"{path}[{n}]")
        elif left != right and not (path.endswith(".mtime") and int(left) == int(right)):
            # The recorded files keep the seconds of their times only.
            yield f"{path}: {short(left)} != {short(right)}"


class Deliberate:
    """A row of the table of deliberate differences."""

    def __init__(self, calls, recorded, ours):
        self.calls, self.recorded, self.ours = calls, recorded, ours

    def names(self, step):
        """Whether the row is about this call: its name, or its name with a keyword, as in `getPackage(create)`."""
        name = step["method"]
        calls = {"any call", name} | {f"{name}({k})" for k, v in step.get("kwargs", {}).items() if v}
        return not calls.isdisjoint(self.calls)

    def allows(self, step, answer):
        """Whether a difference is the one that the row describes."""
        return self.names(step) and described(self.recorded, step) and described(self.ours, answer)


def calls_within(step, answer):
    """The calls of a multicall as recorded steps, each with its answer; nothing for another call."""
    if step["method"] not in ("multiCall", "system.multicall") or "result" not in step or "result" not in answer:
        return []
    left, right = step["result"], answer["result"]
    if not isinstance(right, list) or len(left) != len(right) or len(left) != len(step["args"][0]):
        return []

    def single(item):
        if isinstance(item, dict):
            return {"fault": {k: item.get(k) for k in ("faultCode", "faultString")}}
        return {"result": item[0]} if isinstance(item, list) and len(item) == 1 else {"result": item}

    pairs = []
    for call, a, b in zip(step["args"][0], left, right):
        params = call.get("params", [])
        named = params[-1] if params and isinstance(params[-1], dict) and "__starstar" in params[-1] else None
        described = {"method": call.get("methodName", ""), "args": params[:-1] if named else params,
                     "kwargs": {k: v for k, v in (named or {}).items() if k != "__starstar"}}
        pairs.append(({**described, **single(a)}, single(b)))
    return pairs


def client_allowed(table, step, answer):
    """Whether the table describes how two runs of the client differ."""
    rows = [row for row in table if f"koji {step['argv'][0]}" in row.calls]
    said = lambda cell, run: cell.startswith("stderr: ") and cell.removeprefix("stderr: ") in run["stderr"]
    in_any_order = lambda a, b: sorted(a["stdout"].splitlines()) == sorted(b["stdout"].splitlines())
    return any(said(row.recorded, step) and said(row.ours, answer)
               or row.ours == ANY_ORDER and in_any_order(step, answer) for row in rows)


def described(text, answer):
    """Whether an answer is what a cell of the table says: `fault 1000`, `fault 1: some text`, `result` or a value."""
    kind = kind_of(answer)
    if kind == "fault":
        fault = answer["fault"]
        code, _, pattern = text.removeprefix("fault ").partition(": ")
        return code == str(fault["faultCode"]) and pattern in fault["faultString"]
    return text == kind or kind == "result" and text == json.dumps(answer["result"])


def read_table(page):
    """The rows of the first table of a Markdown page: calls, what was recorded, what Toji answers, why."""
    rows = []
    for line in Path(page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and not set(cells[0]) <= set("-: "):
            calls = re.findall("`([^`]+)`", cells[0]) or [cells[0]]
            rows.append(Deliberate(calls, cells[1].strip("`"), cells[2].strip("`")))
    return rows[1:]  # the first row is the heading


def kind_of(answer):
    """Which of the kinds of answers this is."""
    return next(kind for kind in ("result", "fault", "http", "ref_error") if kind in answer)


def options_of(step):
    """The listing options of a recorded call."""
    given = [step.get("kwargs", {}).get(key) for key in ("queryOpts", "opts")] + list(step["args"][-1:])
    return next((o for o in given if isinstance(o, dict)), {})


def in_order(value):
    """A list sorted by its items' texts; a struct with such lists."""
    if isinstance(value, dict):
        return {key: in_order(v) if isinstance(v, list) else v for key, v in value.items()}
    return sorted(value, key=lambda item: json.dumps(item, sort_keys=True)) if isinstance(value, list) else value


def short(value):
    """A value for a person, on one line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "…"
