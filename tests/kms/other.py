"""What botocore makes of the same files and environment: the other opinion of the tests."""

import json
import pathlib
import subprocess

import pytest

import moto
from program import BOUND

DEBIANS = "/usr/bin/python3"  # its botocore is the one that the tests are written with

LOOK = """
import json, sys, botocore.session
try:
    session = botocore.session.Session()
    what = sys.argv[1]
    if what == "credentials":
        session.get_scoped_config()
        found = session.get_credentials()
        print(json.dumps({"found": found and found.get_frozen_credentials().access_key}))
    else:
        made = session.create_client(what, "us-east-1")
        print(json.dumps({"found": made.meta.endpoint_url, "attempts": (made.meta.config.retries or {}).get("total_max_attempts")}))
except Exception as why:
    print(json.dumps({"refused": type(why).__name__ + ": " + str(why)}))
"""


def newest():
    """A Python whose botocore is of today, which knows settings that Debian's does not: moto brings it."""
    program, why = moto.install()
    if program is None:
        pytest.skip(why)
    return pathlib.Path(program).parent / "python"


def look(environment, what="credentials", python=DEBIANS):
    """What botocore finds, by {"found": …}, or why it refuses. what is a service whose endpoint is asked for, or "credentials"."""
    done = subprocess.run([*BOUND, python, "-c", LOOK, what], env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
