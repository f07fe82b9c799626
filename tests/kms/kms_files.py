"""What the tests ask of a file that is sealed to KMS."""

import hashlib
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "decoder"))
import decode  # noqa: E402
from document import blocks, section  # noqa: E402
from sealed import content, copies, with_copies  # noqa: E402

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
    content = decode.read_envelope(sealed.read_bytes()).copy.content
    return {"bulla-branch": content.branch_id.hex()} | content.core.context


def altered(sealed, old, new):
    """Both copies of the envelope with these bytes changed, and the checksums made right."""
    raw = sealed.read_bytes()
    copy = copies(raw)[0]
    assert len(old) == len(new) and old in copy
    sealed.write_bytes(with_copies(raw, copy.replace(old, new)))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def when_bulla_is_gone(bulla, arn, url, authority, credentials):
    """Types what docs/KMS.md says, and opens work/dump.bulla with nothing but the AWS CLI and the independent decoder."""
    (lines,) = blocks(section("KMS.md", "When bulla is gone"))
    lines = lines.replace("--key-id KEY", f"--key-id {arn} --endpoint-url {url}")
    (bulla.work / "decode.py").write_bytes(pathlib.Path(decode.__file__).read_bytes())
    env = {"PATH": "/usr/bin:/bin", "HOME": str(bulla.home), "AWS_CA_BUNDLE": str(authority.bundle), "AWS_DEFAULT_REGION": "us-east-1", **credentials}
    done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", lines], env=env, cwd=bulla.work, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (bulla.work / "dump").read_bytes() == CONTENT
