"""The schemas of docs/json: every line that --json prints, in whatever test, is held against that of its verb.

They are published open, so that a line of a later version, with more members or another status, still fits. Here they are closed:
what this version prints is in them."""

import functools
import json
import os
import pathlib
import re

import jsonschema

DIRECTORY = pathlib.Path(__file__).resolve().parents[1] / "docs" / "json"
GROUPS = ("key", "envelope", "config", "s3")


@functools.cache
def statuses():
    """The exit statuses of this version."""
    return [int(row[1]) for row in re.finditer(r"^\| (\d+) \|", (DIRECTORY.parent / "COMPATIBILITY.md").read_text(), re.M)]


def closed(schema):
    """A schema of objects that refuses the members and statuses that it does not name."""
    made = dict(schema)
    if "properties" in made:
        made["properties"] = {name: closed(part) for name, part in made["properties"].items()}
        made.setdefault("additionalProperties", False)
        if made["properties"].get("status", {}).get("type") == "integer":
            made["properties"]["status"] |= {"enum": statuses()}
    if "items" in made:
        made["items"] = closed(made["items"])
    return made


@functools.cache
def published(name):
    schema = json.loads((DIRECTORY / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@functools.cache
def validator(name):
    schema = published(name).schema
    return jsonschema.Draft202012Validator(schema | {"$defs": {shape: closed(part) for shape, part in schema["$defs"].items()}})


def shape(name, line):
    """The shape of $defs that a line has; fails unless that is exactly one."""
    whole = validator(name)
    faults = [error.message for error in whole.iter_errors(line)]
    assert not faults, (name, line, [reason.message for error in whole.iter_errors(line) for reason in error.context][:8])
    shapes = [one["$ref"].rpartition("/")[2] for one in whole.schema["anyOf"]]
    (fits,) = (one for one in shapes if whole.evolve(schema={**whole.schema, "anyOf": [{"$ref": f"#/$defs/{one}"}]}).is_valid(line))
    return fits


def verb_of(args):
    """The name of the schema of a command line, or None: its verb is the first word, or two of a group, that has one."""
    words = [word for word in map(os.fsdecode, args) if not word.startswith("-")]
    names = ["-".join(words[i : i + 2]) if word in GROUPS else word for i, word in enumerate(words)]
    return next((name for name in names if re.fullmatch(r"[\w-]+", name) and (DIRECTORY / f"{name}.schema.json").exists()), None)


def whole_lines(output):
    """A run that was stopped may leave a piece, and one without memory an empty line."""
    return [json.loads(line) for line in output.split(b"\n")[:-1] if line.startswith(b"{")]


def check_lines(args, stdout, stderr):
    options = {os.fsdecode(word) for word in args}
    if "--json" in options and (name := verb_of(args)) is not None:
        for line in whole_lines(stdout):
            shape(name, line)
    if options & {"--progress=json", "json"}:
        for line in whole_lines(stderr):
            shape("progress", line)
