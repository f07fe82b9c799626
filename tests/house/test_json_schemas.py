"""docs/json: a schema for each verb with --json, and for nothing else; what several have is the same in all."""

import json
import re

from schemas import DIRECTORY, validator
from test_house import TOP

VERB = re.compile(r"^const struct verb (verb_\w+) = \{\n(.*?)^\};", re.M | re.S)


def verbs_with_json():
    """The names of their schemas, from the sources."""
    for path in (TOP / "cmd").glob("*.c"):
        for _, body in VERB.findall(path.read_text()):
            fields = dict(re.findall(r'\.(group|name) = "([\w-]+)"', body))
            if "rows_json" in body:
                yield "-".join(filter(None, (fields.get("group"), fields["name"])))


def schemas():
    return {path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in DIRECTORY.iterdir()}


def test_each_verb_with_json_has_a_schema():
    assert sorted([*verbs_with_json(), "progress"]) == sorted(schemas())


def test_schemas_are_valid_and_closed():
    """A member that a schema does not know is refused, but where the key stores name theirs."""
    for name, schema in schemas().items():
        validator(name)
        for shape, part in schema["$defs"].items():
            assert part.get("additionalProperties") is False or (name, shape) in {("key-check", "result"), ("key-list", "facts")}, (name, shape)
        assert {one["$ref"] for one in schema["oneOf"]} <= {f"#/$defs/{shape}" for shape in schema["$defs"]}


def test_what_several_have_is_the_same():
    for shape in ("skipped", "left", "calls", "version", "token"):
        assert len({json.dumps(schema["$defs"][shape]) for schema in schemas().values() if shape in schema["$defs"]}) == 1, shape
