"""docs/json: a schema for each verb with --json, and for nothing else; what several have is the same in all."""

import json
import re

from schemas import DIRECTORY, published, statuses, validator
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


def test_schemas_are_valid_and_open():
    """As they are published, a member that a schema does not know is none of its business. The tests refuse it, but where the key stores
    name theirs."""
    for name, schema in schemas().items():
        assert '"additionalProperties": false' not in json.dumps(published(name).schema), name
        for shape, part in validator(name).schema["$defs"].items():
            assert part.get("additionalProperties") is False or (name, shape) in {("key-check", "result"), ("key-list", "facts")}, (name, shape)
        assert {one["$ref"] for one in schema["anyOf"]} <= {f"#/$defs/{shape}" for shape in schema["$defs"]}


def test_statuses_are_those_of_the_table():
    classes = re.findall(r"^    ERR_\w+ = (\d+)\b", (TOP / "base/err.h").read_text(), re.M)
    assert statuses() == [int(number) for number in classes] and len(classes) > 10


def test_what_several_have_is_the_same():
    for shape in ("skipped", "left", "calls", "version", "token"):
        assert len({json.dumps(schema["$defs"][shape]) for schema in schemas().values() if shape in schema["$defs"]}) == 1, shape
