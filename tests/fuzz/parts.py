"""What seeds of several kinds are made of."""

import copy
import json
import struct

ARN = "arn:aws:kms:eu-west-1:111122223333:key/a"


def sized(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">H", len(data)) + data


def answer(status, body, header=""):
    """What network.c takes for an answer."""
    return b"\0" + struct.pack(">H", status) + sized(header) + sized(body if isinstance(body, (bytes, str)) else json.dumps(body))


def json_paths(tree, path=()):
    yield path
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from json_paths(value, (*path, key))


def broken_json(text):
    """The text with each member in turn left out, or of another type or value, and one too many."""
    tree = json.loads(text)
    for path in json_paths(tree):
        for value in (None, "", "x", 0, -1, 1 << 40, [], {}, "delete", "twice", "change"):
            made = copy.deepcopy(tree)
            at = made
            for key in path[:-1]:
                at = at[key]
            if not path:
                made = value
            elif value == "delete":
                del at[path[-1]]
            elif value == "twice":
                at[path[-1]] = [at[path[-1]]] * 2 if not isinstance(at[path[-1]], list) else at[path[-1]] * 2
            elif value == "change" and isinstance(at[path[-1]], str) and at[path[-1]]:
                last = at[path[-1]]
                at[path[-1]] = last[:-1] + ("0" if last[-1] != "0" else "1")
            elif value == {} and isinstance(at[path[-1]], dict):
                at[path[-1]]["unknown"] = 1
            else:
                at[path[-1]] = value
            yield json.dumps(made).encode()
        at = tree
        for key in path:
            at = at[key]
        if isinstance(at, dict) and "state" in at:
            for key, value in (("key", "00"), ("wrapped", "00"), ("check", "00" * 4), ("public", "00" * 32), ("public-check", "00" * 4), ("state", "destroyed"),
                               ("state", "active"), ("version", 7)):
                before = dict(at)
                at[key] = value
                yield json.dumps(tree).encode()
                at.clear()
                at.update(before)
