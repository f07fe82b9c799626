"""The files of AWS that are broken, gone or odd: bulla never takes the machine's identity in place of theirs.

Each case is put to botocore too. Where the two differ, bulla is the one that refuses, or that reads what the user wrote.
"""

import dataclasses
import json
import os
import pathlib

import pytest

import other
from program import BOUND
from test_kms_credentials import keys_of, program, refused, seal

FILED, MACHINE, REFUSED, NONSENSE = "the file's", "the machine's", "refused", "neither"


@dataclasses.dataclass
class Case:
    """Files with KEYS for the lines of two keys that may be used; what is done with them, and what botocore does."""

    credentials: str | bytes = ""
    config: str | bytes = ""
    bulla: object = FILED  # or the exit status and words
    botocore: str = FILED
    environment: dict = dataclasses.field(default_factory=dict)
    make: object = None  # more to do with the home


def wide(text, codec="utf-16"):
    """In another coding; the keys come later, so they are coded later too."""
    return lambda keys: text.replace("KEYS", keys).encode(codec)


def printing(**members):
    """A program that prints the credentials with these members changed; False takes one away."""

    def make(home, user):
        given = {"Version": 1, "AccessKeyId": user.key_id, "SecretAccessKey": user.secret} | members
        program(home / "get", f"#!/bin/sh\ncat <<'X'\n{json.dumps({k: v for k, v in given.items() if v is not False})}\nX\n")

    return Case("", f"[default]\ncredential_process = $HOME/get\n", make=make)


def line(number, words, name="credentials", status=2):
    return (status, f"/.aws/{name}', line {number}: {words}")


NO_SIGN, TWICE, NO_NAME, NO_TEXT = "not 'name = value'", "the name is given twice in its section", "not a name of printable ASCII", "not UTF-8"
EARLY, SECTION_TWICE = "nothing may come before the first [section]", "the section is given twice"

FILES = {
    "whole": Case("[default]\nKEYS"),
    "CR LF": Case(wide("[default]\nKEYS".replace("\n", "\r\n"), "utf-8")),
    "CR": Case(lambda keys: f"[default]\n{keys}".replace("\n", "\r").encode()),
    "comments and blank lines": Case("# c\n\n[default]\n\n; c\nKEYS"),
    "names in capitals": Case(lambda keys: f"[default]\n{keys.replace('aws_', 'AWS_')}".encode()),
    "byte order mark": Case("\ufeff[default]\nKEYS", botocore=REFUSED),
    "blanks in a section's name": Case("[ default ]\nKEYS", botocore=MACHINE),
    "UTF-16": Case(wide("[default]\nKEYS"), bulla=line(1, NO_TEXT), botocore=REFUSED),
    "UTF-16 without a mark": Case(wide("[default]\nKEYS", "utf-16-le"), bulla=line(1, NO_TEXT), botocore=REFUSED),
    "Latin-1 in a comment": Case(wide("[default]\n# \xe4\nKEYS", "latin-1"), bulla=line(2, NO_TEXT), botocore=REFUSED),
    "a zero": Case("[default]\nx = \0\nKEYS", bulla=line(2, NO_TEXT)),
    "unclosed": Case("[default\nKEYS", bulla=line(1, EARLY), botocore=REFUSED),
    "second unclosed": Case("[someone]\nx = y\n[default\nKEYS", bulla=line(3, NO_SIGN), botocore=REFUSED),
    "section without a name": Case("[]\nKEYS", bulla=line(1, EARLY), botocore=REFUSED),
    "no section": Case("KEYS", bulla=line(1, EARLY), botocore=REFUSED),
    "shell": Case("export AWS_ACCESS_KEY_ID=x\n", bulla=line(1, EARLY), botocore=REFUSED),
    "no sign": Case("[default]\naws_access_key_id\nKEYS", bulla=line(2, NO_SIGN), botocore=REFUSED),
    "no sign elsewhere": Case("[default]\nKEYS[someone]\n\nx\n", bulla=line(6, NO_SIGN), botocore=REFUSED),
    "no sign below": Case("[default]\nKEYS", "[default]\ns3 =\n  addressing_style\n", bulla=line(3, NO_SIGN, "config"), botocore=REFUSED),
    "value on the next line": Case("[default]\naws_access_key_id =\n  AKIA1\n", bulla=line(3, NO_SIGN), botocore=REFUSED),
    "no name": Case("[default]\n= x\nKEYS", bulla=line(2, "no name before '='"), botocore=REFUSED),
    "blank that is none": Case("[default]\n\u00a0aws_access_key_id = x\n", bulla=line(2, NO_NAME), botocore=REFUSED),
    "section twice": Case("[default]\nx = y\n[someone]\n[default]\nKEYS", bulla=line(4, SECTION_TWICE), botocore=REFUSED),
    "default in two ways": Case("", "[default]\n[profile default]\nKEYS", bulla=line(2, SECTION_TWICE, "config")),
    "name twice": Case("[default]\nKEYSAWS_access_key_id = x\n", bulla=line(4, TWICE), botocore=REFUSED),
    "DEFAULT": Case("[DEFAULT]\nKEYS", bulla=line(1, "section [DEFAULT] is not a profile"), botocore=MACHINE),
    "value of two lines": Case("[default]\nKEYS  more\n", bulla=(7, "are not well-formed")),
    "config broken": Case("[default]\nKEYS", "[default\n", bulla=line(1, EARLY, "config"), botocore=REFUSED),
    "credentials broken": Case("x\n", "[default]\nKEYS", bulla=line(1, EARLY), botocore=REFUSED),
    "too long": Case("#" * (1024 * 1024 + 1), bulla=(2, "/.aws/credentials' is longer than 1048576 bytes"), botocore=MACHINE),
    # Names without a value, as templates leave them.
    "no values": Case("[default]\naws_access_key_id =\naws_secret_access_key =\n", bulla=(2, "profile 'default': 'aws_access_key_id' has no value"), botocore=NONSENSE),
    "secret alone": Case("[default]\naws_secret_access_key = x\n", bulla=(7, "have no AccessKeyId"), botocore=MACHINE),
    "access key alone": Case("[default]\naws_access_key_id = x\n", bulla=(7, "have no SecretAccessKey"), botocore=REFUSED),
    "no role": Case("", "[default]\nrole_arn =\n", bulla=(2, "'role_arn' has no value"), botocore=REFUSED),
    "no command": Case("", "[default]\ncredential_process =\n", bulla=(2, "'credential_process' has no value"), botocore=REFUSED),
    "no token file": Case("", "[default]\nweb_identity_token_file =\n", bulla=(2, "'web_identity_token_file' has no value"), botocore=MACHINE),
    # Places; test_places has more.
    "path in the home": Case("[default]\nKEYS", environment={"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}),
    "path with a variable": Case("[default]\nKEYS", bulla=(10, "cannot open AWS file '$HOME/.aws/credentials'"),
                                 environment={"AWS_SHARED_CREDENTIALS_FILE": "$HOME/.aws/credentials"}),
    "file of another kind": Case("", bulla=(2, "AWS_CREDENTIAL_FILE names a file of a kind that bulla does not read"), botocore=REFUSED,
                                 environment={"AWS_CREDENTIAL_FILE": "/nowhere"}),
    "file of another kind, and keys": Case("[default]\nKEYS", environment={"AWS_CREDENTIAL_FILE": "/nowhere"}),
    # Profiles.
    "profile that is not there": Case("[default]\nKEYS", bulla=(2, "there is no AWS profile 'nowhere'"), botocore=REFUSED, environment={"AWS_PROFILE": "nowhere"}),
    "profile without its word": Case("", "[night]\nKEYS", bulla=(2, "there is no AWS profile 'night'"), botocore=REFUSED, environment={"AWS_PROFILE": "night"}),
    "default profile": Case("[night]\nKEYS", environment={"AWS_DEFAULT_PROFILE": "night"}),
    "two profiles are named": Case("[night]\nKEYS[day]\n", environment={"AWS_DEFAULT_PROFILE": "night", "AWS_PROFILE": "day"}),
    "default profile that is not there": Case("[default]\nKEYS", bulla=(2, "there is no AWS profile 'nowhere'"), botocore=REFUSED,
                                              environment={"AWS_DEFAULT_PROFILE": "nowhere", "AWS_PROFILE": "default"}),
    "source that is not there": Case("[default]\nKEYS", "[default]\nrole_arn = r\nsource_profile = nowhere\n",
                                     bulla=(2, "there is no source_profile 'nowhere'"), botocore=REFUSED),
    "process in two lines": Case("", "[default]\ncredential_process = $HOME/get\n  --twice\n", bulla=FILED, make=lambda home, user: program(
        home / "get", f"#!/bin/sh\n[ \"$*\" = --twice ] && echo '{{\"Version\": 1, \"AccessKeyId\": \"{user.key_id}\", \"SecretAccessKey\": \"{user.secret}\"}}'\n")),
    # SSO.
    "SSO with keys": Case("[default]\nKEYS", "[default]\nsso_start_url = https://x.example\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = r\n",
                          bulla=(2, "signs on by SSO, which bulla does not do itself"), botocore=REFUSED),
    "SSO with keys beside": Case("", "[default]\nsso_start_url = https://x.example\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = r\nKEYS",
                                 bulla=(2, "signs on by SSO, which bulla does not do itself"), botocore=REFUSED),
    "half of SSO with keys": Case("[default]\nsso_role_name = r\nKEYS", bulla=(2, "signs on by SSO"), botocore=REFUSED),
    "session of SSO with keys": Case("[default]\nKEYS", "[default]\nsso_session = s\n[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://x.example\n"),
    "session of SSO alone": Case("", "[default]\nsso_session = s\n[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://x.example\n",
                                 bulla=(2, "signs on by SSO"), botocore=MACHINE),
}  # fmt: skip


def put(path, content, keys):
    """Text with the keys in it; None leaves no file."""
    path.write_bytes(content(keys) if callable(content) else content.replace("KEYS", keys).encode())


def compare(bulla, key, imds, aws, filed, case, python=other.DEBIANS):
    """Both do what the case says. What is refused asks nobody, least of all the machine's service."""
    bulla.config()
    for name in ("config", "credentials"):
        content = getattr(case, name)
        put(bulla.home / ".aws" / name, content if callable(content) else content.replace("$HOME", str(bulla.home)), keys_of(filed))
    if case.make:
        case.make(bulla.home, filed)
    if isinstance(case.bulla, tuple):
        status, words = case.bulla
        refused(bulla, key, status, words, under=BOUND, **case.environment)
        assert imds.asked == [] and not aws.calls
    else:
        bulla("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env=case.environment, under=BOUND)
        assert aws.requests[-1].principal == {FILED: filed, MACHINE: imds.principal}[case.bulla]
    found = other.look(bulla.environment | case.environment, python=python)
    assert {filed.key_id: FILED, imds.principal.key_id: MACHINE, "": NONSENSE}.get(found.get("found"), REFUSED) == case.botocore, found


@pytest.fixture
def filed(cloud):
    return cloud.user("filed", "kms:*")


@pytest.mark.parametrize("what", FILES)
def test_files(imds, anonymous, aws, key, filed, what):
    compare(anonymous, key, imds, aws, filed, FILES[what])


def directory(path):
    path.unlink()
    path.mkdir()


def gone(path):
    path.unlink()
    path.symlink_to("nowhere")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


PLACES = {  # what is done to the file, exit status and words of bulla, or whose credentials it takes, as botocore does everywhere
    "unreadable": (lambda path: path.chmod(0), 1, "cannot open AWS file '{}': Permission denied"),
    "a directory": (directory, 1, "AWS file '{}' is not a regular file"),
    "a pipe": (pipe, 1, "AWS file '{}' is not a regular file"),
    "a link to nothing": (gone, 10, "cannot open AWS file '{}': No such file or directory"),
    "not there": (pathlib.Path.unlink, 0, None),
}


@pytest.mark.parametrize("name", ["config", "credentials"])
@pytest.mark.parametrize("what", PLACES)
def test_places(imds, anonymous, aws, key, filed, name, what):
    """botocore takes all of these for no file, and the machine's identity."""
    spoil, status, words = PLACES[what]
    path = anonymous.home / ".aws" / name
    case = Case(botocore=MACHINE, bulla=MACHINE if words is None else (status, words.format(path)), make=lambda home, user: spoil(path))
    compare(anonymous, key, imds, aws, filed, case)


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize("path, words", [("/nowhere/file", "cannot open AWS file '/nowhere/file': No such file or directory"), ("/dev/null", None)])
def test_named_places(imds, anonymous, aws, key, filed, variable, path, words):
    """Who names a file wants that one; botocore passes over what is not there."""
    compare(anonymous, key, imds, aws, filed, Case(bulla=(10, words) if words else MACHINE, botocore=MACHINE, environment={variable: path}))


def test_hint_of_a_place(anonymous, key):
    said = refused(anonymous, key, 10, "cannot open", AWS_CONFIG_FILE="/nowhere/file")
    assert "hint: AWS_CONFIG_FILE=/dev/null means that there is no such file" in said


def test_home_that_is_a_file(imds, anonymous, aws, key, filed):
    """No file can be there."""
    path = anonymous.home / "file"
    path.write_text("")
    compare(anonymous, key, imds, aws, filed, Case(bulla=MACHINE, botocore=MACHINE, environment={"HOME": str(path)}))


def test_home_of_somebody_else(imds, anonymous, aws, key, filed):
    """Its files are not for this user."""
    closed = anonymous.home / "closed"
    closed.mkdir()
    closed.chmod(0)
    try:
        compare(anonymous, key, imds, aws, filed, Case(bulla=MACHINE, botocore=MACHINE, environment={"HOME": str(closed)}))
    finally:
        closed.chmod(0o700)


def test_directory_of_files_that_is_closed(imds, anonymous, aws, key, filed):
    """One in this user's own home may have been meant; botocore passes over it."""
    def close(home, user):
        (home / ".aws").chmod(0)

    words = f"cannot open AWS file '{anonymous.home}/.aws/config': Permission denied"
    try:
        compare(anonymous, key, imds, aws, filed, Case(bulla=(1, words), botocore=MACHINE, make=close))
    finally:
        (anonymous.home / ".aws").chmod(0o700)


def test_no_line_is_repeated(anonymous, key):
    """It may be a secret that lost its name."""
    anonymous.config("", "[default]\npa55word\n")
    assert "pa55word" not in refused(anonymous, key, 2, NO_SIGN)


# Session tokens.


@pytest.mark.parametrize("wrong", [{}, {"AWS_SESSION_TOKEN": "stale"}])
def test_older_name_of_a_session_token(bulla, cloud, aws, key, wrong):
    """It goes first, as in botocore."""
    session = cloud.session(cloud.role("night", "kms:*"))
    given = session.environment() | {"AWS_SESSION_TOKEN": ""} | wrong | {"AWS_SECURITY_TOKEN": session.token}
    seal(bulla, key, **given)
    assert aws.requests[-1].principal == session
    assert other.look(bulla.environment | {k: v for k, v in given.items() if v}, "token")["found"] == session.token


@pytest.mark.parametrize("wrong", ["", "aws_session_token = stale\n"])
def test_older_name_of_a_session_token_in_a_file(anonymous, cloud, aws, key, wrong):
    session = cloud.session(cloud.role("night", "kms:*"))
    anonymous.config("", f"[default]\n{keys_of(session).replace('aws_session_token', 'aws_security_token')}{wrong}")
    seal(anonymous, key)
    assert aws.requests[-1].principal == session
    assert other.look(anonymous.environment, "token")["found"] == session.token


EXPIRY = "have an expiry time that cannot be read"
EXPIRED = "the credentials from the credential_process of profile 'default' have expired"
PRINTED = {  # members, what bulla says or None if it takes them, whether botocore does
    "no end": ({}, None, True),
    "null": ({"Expiration": None, "SessionToken": None}, None, True),
    "Z": ({"Expiration": "2099-11-23T19:05:00Z"}, None, True),
    "zone": ({"Expiration": "2099-11-23T19:05:00+01:00"}, None, True),
    "zone without a colon": ({"Expiration": "2099-11-23T19:05:00+0000"}, None, True),
    "zone of hours": ({"Expiration": "2099-11-23T19:05:00-04"}, None, True),
    "blank": ({"Expiration": "2099-11-23 19:05:00Z"}, None, True),
    "blanks": ({"Expiration": "2099-11-23 19:05:00 +0000"}, None, True),
    "UTC": ({"Expiration": "2099-11-23 19:05:00 UTC"}, None, True),
    "no seconds": ({"Expiration": "2099-11-23T19:05Z"}, None, True),
    "fraction": ({"Expiration": "2099-11-23T19:05:00.123456Z"}, None, True),
    "no zone": ({"Expiration": "2099-11-23T19:05:00"}, EXPIRY, False),
    "number": ({"Expiration": 4099059900}, EXPIRY, False),
    "number as text": ({"Expiration": "4099059900"}, EXPIRY, False),
    "words": ({"Expiration": "tomorrow"}, EXPIRY, False),
    "empty": ({"Expiration": ""}, EXPIRY, False),
    "list": ({"Expiration": ["2099-11-23T19:05:00Z"]}, EXPIRY, False),
    "1970": ({"Expiration": "1970-01-01T00:00:00Z"}, EXPIRED, False),
    "before 1970": ({"Expiration": "1960-01-01T00:00:00Z"}, EXPIRED, False),
    "year 1": ({"Expiration": "0001-01-01T00:00:00Z"}, EXPIRED, False),
    "token is a number": ({"SessionToken": 7}, "are not well-formed", True),
    "access key is a number": ({"AccessKeyId": 7}, "have no AccessKeyId", True),
    "no secret": ({"SecretAccessKey": False}, "have no SecretAccessKey", False),
    "version is a text": ({"Version": "1"}, "it does not print credentials of version 1", False),
}


@pytest.mark.parametrize("what", PRINTED)
def test_what_a_process_prints(imds, anonymous, aws, key, filed, what):
    """A time in any form that has one meaning; what botocore cannot read is refused."""
    members, words, takes = PRINTED[what]
    case = printing(**members)
    case.bulla = FILED if words is None else (7, words)
    case.botocore = REFUSED if not takes or what == "access key is a number" else FILED
    compare(anonymous, key, imds, aws, filed, case)
