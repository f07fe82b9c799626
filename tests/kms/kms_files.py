"""What the tests ask of a file that is sealed to KMS."""

import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "decoder"))
import decode  # noqa: E402
from sealed import BODY, REGION, content, with_checksum  # noqa: E402

CONTENT = content(40_000)


def slots(bulla, sealed):
    return bulla.inspect(sealed)[0]["slots"]


def arns(bulla, sealed):
    return [slot.get("key_ARN") for slot in slots(bulla, sealed)]


def materials(bulla, sealed):
    return [slot.get("key_material_id") for slot in slots(bulla, sealed)]


def opened(bulla, *keys, sealed, options=(), **how):
    named = [word for key in keys for word in ("-k", getattr(key, "arn", key))]
    return bulla("decrypt", *named, *options, "-o", "-", sealed, **how)


def wraps(sealed):
    """The wrap of each slot."""
    return [slot.wrap for slot in decode.read_envelope(sealed.read_bytes()).copy.content.slots]


def context(sealed):
    """The encryption context, as docs/FORMAT.md says."""
    core = decode.read_envelope(sealed.read_bytes()).copy.content.core
    return {"bulla-branch": core.branch_id.hex()} | core.context


def altered(sealed, old, new):
    """Both copies of the envelope with these bytes changed, and the checksums made right."""
    raw = sealed.read_bytes()
    assert len(old) == len(new) and old in raw[:REGION]
    sealed.write_bytes(2 * with_checksum(raw[:REGION].replace(old, new)) + raw[BODY:])


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
