"""Where credentials come from: each provider, which goes first, and how long they last."""

import json
import os
import time

import pytest

from faults import error
from kms_files import CONTENT, opened


@pytest.fixture
def who(aws):
    """Who asked KMS last."""
    return lambda: next(r.principal for r in reversed(aws.requests) if r.service == "kms").arn


NONE = "there are no AWS credentials"


def seal(bulla, key, *options, **env):
    return bulla("encrypt", "-k", key.arn, *options, "-o", "-", stdin=b"x", env=env).stdout


def refused(bulla, key, status, words, options=(), under=(), **env):
    """Nothing comes out, and these words are said; the status is a row of docs/KMS.md, "When it fails". Returns all that is said."""
    done = bulla("encrypt", "-k", key.arn, *options, "-o", "out.bulla", stdin=b"x", env=env, status=status, under=under)
    said = done.stderr.decode()
    assert words in said, said
    assert not (bulla.work / "out.bulla").exists()
    return said


def keys_of(principal):
    lines = [f"aws_access_key_id = {principal.key_id}", f"aws_secret_access_key = {principal.secret}"]
    return "\n".join(lines + ([f"aws_session_token = {principal.token}"] if principal.token else [])) + "\n"


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


def printed(principal, seconds=3600, **more):
    """A program that prints these credentials, and notes its arguments."""
    given = principal.document(seconds, Version=1, **more) | ({"SessionToken": principal.token} if principal.token else {})
    return f"#!/bin/sh\nprintf '%s|' \"$@\" >>\"$HOME/asked\"; echo >>\"$HOME/asked\"\ncat <<'X'\n{json.dumps(given)}\nX\n"


# The environment.


def test_environment(bulla, key, user, who):
    seal(bulla, key)
    assert who() == user.arn


def test_environment_with_a_session_token(bulla, cloud, key, who):
    session = cloud.session(cloud.role("night", "kms:*"))
    seal(bulla, key, **session.environment())
    assert who() == session.arn


def test_wrong_secret(bulla, aws, key):
    refused(bulla, key, 7, "InvalidSignatureException", AWS_SECRET_ACCESS_KEY="wrong" * 8)
    assert aws.calls["Encrypt"] == 1


def test_unknown_access_key(bulla, key):
    refused(bulla, key, 7, "UnrecognizedClientException", AWS_ACCESS_KEY_ID="AKIANOBODY")


def test_session_without_its_token(bulla, cloud, key):
    session = cloud.session(cloud.role("night", "kms:*"))
    refused(bulla, key, 7, "UnrecognizedClientException", **session.environment() | {"AWS_SESSION_TOKEN": ""})


@pytest.mark.parametrize("there, missing", [("AWS_ACCESS_KEY_ID", "SecretAccessKey"), ("AWS_SECRET_ACCESS_KEY", "AccessKeyId")])
def test_half_of_the_environment(anonymous, imds, aws, key, there, missing):
    refused(anonymous, key, 7, f"from the environment have no {missing} (", **{there: "AKIA1"})
    assert not aws.calls and imds.asked == []


@pytest.mark.parametrize("evil", ["x\r\nHost: evil", "x\ny", "x y", "\u00fc", "x" * 20_000])
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_what_would_break_a_header(bulla, aws, key, name, evil):
    refused(bulla, key, 7, "the credentials from the environment are not well-formed", **{name: evil})
    assert not aws.calls


def test_no_credentials(anonymous, aws, key):
    """Says where they were looked for."""
    said = refused(anonymous, key, 7, NONE)
    assert "environment" in said and "'default'" in said and not aws.calls


# Shared files.

REAL = """# comment
; another
[default]
region=us-east-1
output = json

[profile  nightly]
region   =   us-east-1
cli_pager=
s3 =
  max_concurrent_requests = 20
  aws_access_key_id = not-this-one
services = local

[services local]
kms =
  endpoint_url = https://192.0.2.1

[sso-session corp]
sso_start_url = https://example.org
"""


@pytest.mark.parametrize("profile", ["default", "nightly"])
def test_credentials_file(anonymous, cloud, key, who, profile):
    other = cloud.user("filed", "kms:*")
    anonymous.config(REAL, f"[someone]\naws_access_key_id = no\n\n[{profile}]\n{keys_of(other)}")
    seal(anonymous, key, **({} if profile == "default" else {"AWS_PROFILE": profile}))
    assert who() == other.arn


def test_settings_inside_a_setting(anonymous, cloud, aws, key, user):
    """Indented lines belong to the line above them."""
    cloud.alias("alias/nightly", key)
    anonymous.config("[profile nightly]\nregion = us-east-1\ns3 =\n    region = eu-west-1\n    addressing_style = path\n")
    anonymous("encrypt", "-k", "alias/nightly", "-o", "-", stdin=b"x", env={**user.environment(), "AWS_PROFILE": "nightly", "AWS_REGION": ""})
    assert aws.requests[-1].region == "us-east-1"


def test_long_session_token_in_a_file(anonymous, cloud, key, who):
    session = cloud.session(cloud.role("night", "kms:*"))
    session.token *= 12
    anonymous.config("", f"[default]\n{keys_of(session)}")
    seal(anonymous, key)
    assert who() == session.arn


def test_config_file(anonymous, cloud, key, who):
    other = cloud.user("filed", "kms:*")
    anonymous.config(f"[profile nightly]\n{keys_of(other)}")
    seal(anonymous, key, AWS_PROFILE="nightly")
    assert who() == other.arn


def test_credentials_file_beats_config_file(anonymous, cloud, key, who):
    one, two = cloud.user("one", "kms:*"), cloud.user("two", "kms:*")
    anonymous.config(f"[default]\n{keys_of(one)}", f"[default]\n{keys_of(two)}")
    seal(anonymous, key)
    assert who() == two.arn


def test_files_at_other_places(anonymous, cloud, key, who, tmp_path):
    other = cloud.user("filed", "kms:*")
    (tmp_path / "c").write_text(f"[there]\n{keys_of(other)}")
    seal(anonymous, key, AWS_PROFILE="there", AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "c"))
    assert who() == other.arn
    (tmp_path / "d").write_text(f"[profile there]\n{keys_of(other)}")
    seal(anonymous, key, AWS_PROFILE="there", AWS_CONFIG_FILE=str(tmp_path / "d"))


def test_profile_that_is_not_there(bulla, aws, key):
    bulla.config(REAL)
    refused(bulla, key, 2, "there is no AWS profile 'nowhere'", AWS_PROFILE="nowhere")
    assert not aws.calls


def test_half_of_the_keys_in_a_file(anonymous, aws, key):
    anonymous.config("", "[default]\naws_access_key_id = AKIA1\n")
    refused(anonymous, key, 7, "from profile 'default' of the credentials file have no SecretAccessKey")
    assert not aws.calls


# Roles.


@pytest.fixture
def base(cloud):
    return cloud.user("base")


def test_source_profile(anonymous, cloud, aws, key, base, who):
    role = cloud.role("night", "kms:*", trusts=[base.arn], external_id="x/y 1")
    anonymous.config(f"[profile night]\nrole_arn = {role}\nsource_profile = base\nexternal_id = x/y 1\nrole_session_name = backups\nduration_seconds = 900\n",
                     f"[base]\n{keys_of(base)}")  # fmt: skip
    seal(anonymous, key, AWS_PROFILE="night")
    assert who().endswith("assumed-role/night/backups") and aws.last("AssumeRole")["DurationSeconds"] == "900"


def test_wrong_external_id(anonymous, cloud, aws, key, base):
    role = cloud.role("night", "kms:*", trusts=[base.arn], external_id="right")
    anonymous.config(f"[profile night]\nrole_arn = {role}\nsource_profile = base\nexternal_id = wrong\n", f"[base]\n{keys_of(base)}")
    said = refused(anonymous, key, 7, "AccessDenied", AWS_PROFILE="night")
    assert role in said and "sts:AssumeRole" in said
    assert aws.calls["AssumeRole"] == 1 and aws.calls["Encrypt"] == 0


@pytest.mark.parametrize("name, hint", [("AccessDenied", "and the role's trust policy must name it"), ("RequestExpired", "set the clock of this machine"),
                                        ("RequestTimeTooSkewed", "set the clock of this machine"), ("SignatureDoesNotMatch", "or the clock of this machine"),
                                        ("InvalidClientTokenId", "AWS does not know these credentials")])  # fmt: skip
def test_hint_of_a_refused_role(anonymous, cloud, aws, key, base, name, hint):
    role = cloud.role("night", "kms:*", trusts=[base.arn])
    anonymous.config(f"[profile night]\nrole_arn = {role}\nsource_profile = base\n", f"[base]\n{keys_of(base)}")
    aws.fault("AssumeRole", error(name, "no", 403), times=9)
    said = refused(anonymous, key, 7, f"sts:AssumeRole: {name}", AWS_PROFILE="night")
    assert hint in said and aws.calls["AssumeRole"] == 1 and aws.calls["Encrypt"] == 0


def test_chain_of_roles(anonymous, cloud, aws, key, base, who):
    first = cloud.role("first", trusts=[base.arn])
    second = cloud.role("second", "kms:*", trusts=[first])
    config = f"[profile b]\nrole_arn = {second}\nsource_profile = a\n[profile a]\nrole_arn = {first}\nsource_profile = base\n"
    anonymous.config(config, f"[base]\n{keys_of(base)}")
    seal(anonymous, key, AWS_PROFILE="b")
    assert "assumed-role/second/" in who() and aws.calls["AssumeRole"] == 2


def test_role_of_the_profile_itself(anonymous, cloud, key, base, who):
    """source_profile may be the profile itself, if it has keys."""
    role = cloud.role("night", "kms:*", trusts=[base.arn])
    anonymous.config(f"[profile night]\nrole_arn = {role}\nsource_profile = night\n", f"[night]\n{keys_of(base)}")
    seal(anonymous, key, AWS_PROFILE="night")
    assert "assumed-role/night/" in who()


CIRCLE = "source_profile leads back to itself"


@pytest.mark.parametrize("count, status, words", [(1, 7, "profile 'p0' has no credentials"), (2, 2, f"profile 'p0': {CIRCLE}"), (3, 2, f"profile 'p0': {CIRCLE}")])
def test_loops_are_refused(anonymous, aws, key, count, status, words):
    role = "arn:aws:iam::111122223333:role/r"
    parts = [f"[profile p{n}]\nrole_arn = {role}{n}\nsource_profile = p{(n + 1) % count}\n" for n in range(count)]
    anonymous.config("".join(parts))
    refused(anonymous, key, status, words, AWS_PROFILE="p0")
    assert not aws.calls


@pytest.mark.parametrize("count", [9, 3000])
def test_long_chain_ends(anonymous, aws, key, base, count):
    """Though its end has keys: nobody means three thousand roles."""
    config = [f"[profile p{n}]\nrole_arn = arn:aws:iam::111122223333:role/r{n}\nsource_profile = p{n + 1}\n" for n in range(count)]
    anonymous.config("".join(config), f"[p{count}]\n{keys_of(base)}")
    said = refused(anonymous, key, 2, "profile 'p0': more than 8 roles in one chain of source_profile", AWS_PROFILE="p0")
    assert "circle" not in said and not aws.calls


BAD_ROLES = {
    "both": ("source_profile = base\ncredential_source = Environment\n", "role_arn needs either source_profile or credential_source"),
    "neither": ("", "role_arn needs either source_profile or credential_source"),
    "nobody": ("source_profile = nobody\n", "there is no source_profile 'nobody'"),
    "unknown": ("credential_source = Fridge\n", "credential_source 'Fridge' is not known"),
}


@pytest.mark.parametrize("what", BAD_ROLES)
def test_roles_that_cannot_be_taken(anonymous, cloud, aws, key, base, what):
    role = cloud.role("night", "kms:*", trusts=[base.arn])
    source, words = BAD_ROLES[what]
    anonymous.config(f"[profile night]\nrole_arn = {role}\n{source}", f"[base]\n{keys_of(base)}")
    refused(anonymous, key, 2, f"profile 'night': {words}", AWS_PROFILE="night")
    assert aws.calls["Encrypt"] == 0


def test_credential_source_environment(bulla, cloud, key, user, who):
    role = cloud.role("night", "kms:*", trusts=[user.arn])
    bulla.config(f"[profile night]\nrole_arn = {role}\nsource_profile = envs\n[profile envs]\nrole_arn = {role}2\ncredential_source = Environment\n")
    first = cloud.role("night2", trusts=[user.arn])
    cloud.roles[role]["trusts"].add(first)
    seal(bulla, key, AWS_PROFILE="night")
    assert who() == user.arn  # the environment goes first; as a source it counts only where it is not


def test_credential_source_instance(imds, anonymous, cloud, key, who):
    role = cloud.role("night", "kms:*", trusts=["arn:aws:iam::111122223333:role/backup-host"])
    anonymous.config(f"[profile night]\nrole_arn = {role}\ncredential_source = Ec2InstanceMetadata\n")
    seal(anonymous, key, AWS_PROFILE="night")
    assert "assumed-role/night/" in who() and imds.asked


def test_credential_source_container(container, anonymous, cloud, key, who):
    task = container()
    role = cloud.role("night", "kms:*", trusts=["arn:aws:iam::111122223333:role/task"])
    anonymous.config(f"[profile night]\nrole_arn = {role}\ncredential_source = EcsContainer\n")
    seal(anonymous, key, AWS_PROFILE="night", AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path)
    assert "assumed-role/night/" in who()


UNREAD = "the answer of STS has no credentials that can be read"
STS_FAULTS = {  # fault, how often, exit status, what is said, how often STS is asked
    "throttled": (error("Throttling", "Rate exceeded"), 1, 0, "", 2),
    "always throttled": (error("Throttling", "Rate exceeded"), 9, 6, "sts:AssumeRole: Throttling: Rate exceeded", 3),
    "entity": (lambda answer, request: type(answer)(200, b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', {}), 9, 6, UNREAD, 1),
    "empty": (lambda answer, request: type(answer)(200, b"", {}), 9, 6, UNREAD, 1),
    "twice": (lambda answer, request: type(answer)(200, 2 * answer.body, {}), 9, 6, UNREAD, 1),
    "big": (lambda answer, request: type(answer)(200, answer.body + b"x" * 2**20, {}), 9, 7, "is longer than 65536 bytes", 1),
    "cut": (lambda answer, request: type(answer)(200, answer.body[:200], {}), 9, 6, UNREAD, 1),
}


@pytest.mark.parametrize("what", STS_FAULTS)
def test_answers_of_sts(anonymous, cloud, aws, key, base, what):
    fault, times, status, words, calls = STS_FAULTS[what]
    role = cloud.role("night", "kms:*", trusts=[base.arn])
    anonymous.config(f"[profile night]\nrole_arn = {role}\nsource_profile = base\n", f"[base]\n{keys_of(base)}")
    aws.fault("AssumeRole", fault, times=times)
    done = anonymous("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env={"AWS_PROFILE": "night"}, status=status)
    assert words.encode() in done.stderr and aws.calls["AssumeRole"] == calls


# Web identity.

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2lnbmF0dXJl"


@pytest.fixture
def web(cloud, tmp_path):
    """The environment that EKS gives to a pod."""
    cloud.secrets.add(TOKEN)
    path = tmp_path / "web-token"
    path.write_text(TOKEN)
    role = cloud.role("pod", "kms:*", web_token=TOKEN)
    return {"AWS_WEB_IDENTITY_TOKEN_FILE": str(path), "AWS_ROLE_ARN": role, "AWS_ROLE_SESSION_NAME": "pod-7"}


def test_web_identity(anonymous, key, web, who):
    seal(anonymous, key, **web)
    assert who().endswith("assumed-role/pod/pod-7")


def test_web_identity_without_a_session_name(anonymous, key, web, who):
    seal(anonymous, key, **web | {"AWS_ROLE_SESSION_NAME": ""})
    assert "assumed-role/pod/" in who()


def test_web_identity_of_a_profile(anonymous, key, web, who):
    anonymous.config(f"[profile pod]\nrole_arn = {web['AWS_ROLE_ARN']}\nweb_identity_token_file = {web['AWS_WEB_IDENTITY_TOKEN_FILE']}\n")
    seal(anonymous, key, AWS_PROFILE="pod")
    assert "assumed-role/pod/" in who()


def test_wrong_web_token(anonymous, aws, key, web):
    aws.fault("AssumeRoleWithWebIdentity", lambda a, r: error("InvalidIdentityToken", "not " + r.content["WebIdentityToken"])(a, r), times=9)
    refused(anonymous, key, 7, "InvalidIdentityToken", **web)
    assert aws.calls["AssumeRoleWithWebIdentity"] == 1


@pytest.mark.parametrize("name, status, words", [("missing", 10, "cannot open token file '{}'"), ("empty", 2, "'{}' is empty"), ("directory", 1, "cannot read '{}'"),
                                                 ("long", 2, "'{}' is longer than 20000 bytes")])  # fmt: skip
def test_token_files_that_are_none(anonymous, aws, key, web, tmp_path, name, status, words):
    path = tmp_path / name
    if name == "directory":
        path.mkdir()
    elif name == "empty":
        path.write_text("")
    elif name == "long":
        path.write_text("t" * 20_001)
    refused(anonymous, key, status, words.format(path), **web | {"AWS_WEB_IDENTITY_TOKEN_FILE": str(path)})
    assert not aws.calls


def test_web_identity_without_a_role(anonymous, aws, key, web):
    refused(anonymous, key, 2, "without AWS_ROLE_ARN", **web | {"AWS_ROLE_ARN": ""})
    assert not aws.calls


# Files that somebody else may have written.

CHOICES = {"credential_process": "/bin/false", "role_arn": "arn:aws:iam::111122223333:role/theirs", "endpoint_url": "https://kms.example.org", "ca_bundle": "/etc/ssl/theirs"}


@pytest.mark.parametrize("name", ["config", "credentials"])
@pytest.mark.parametrize("choice", CHOICES)
def test_file_that_others_may_write_chooses_nothing(anonymous, aws, key, name, choice):
    """No program, role, server or authority: a server that they chose would be sent the branch key."""
    text = f"[other]\naws_access_key_id = x\n{choice.upper()} = {CHOICES[choice]}\n"
    anonymous.config(**{"config": "", name: text.replace("[other]", "[profile other]" if name == "config" else "[other]")})
    path = anonymous.home / ".aws" / name
    path.chmod(0o666)
    said = refused(anonymous, key, 7, f"{choice} in line 3: AWS file '{path}' may be from somebody else: its group and others can write file '{path}'")
    assert f"chmod go-w '{path}'" in said and not aws.calls


def test_keys_in_a_file_that_others_may_write_are_used(anonymous, user, key, who):
    """As the AWS tools do: a container has its host's files."""
    anonymous.config("", f"[default]\n{keys_of(user)}")
    for path in (anonymous.home / ".aws").iterdir():
        path.chmod(0o666)
    seal(anonymous, key)
    assert who() == user.arn


# credential_process.


def test_process(anonymous, cloud, key, who):
    session = cloud.session(cloud.role("corp", "kms:*"))
    program(anonymous.home / "get", printed(session))
    anonymous.config(f"[profile corp]\ncredential_process = {anonymous.home}/get\n")
    seal(anonymous, key, AWS_PROFILE="corp")
    assert who() == session.arn


def test_arguments_of_a_process(anonymous, cloud, key):
    """As a shell's words, but no shell sees them."""
    directory = anonymous.home / "my tools"
    directory.mkdir()
    program(directory / "get it", printed(cloud.user("corp", "kms:*")))
    line = f'"{directory}/get it"  plain "two words" \'sin"gle\' "a\\"b" back\\ slash $HOME `id` "" ;x | cat > y # z'
    anonymous.config(f"[profile corp]\ncredential_process = {line}\n")
    seal(anonymous, key, AWS_PROFILE="corp")
    words = ["plain", "two words", 'sin"gle', 'a"b', "back slash", "$HOME", "`id`", "", ";x", "|", "cat", ">", "y", "#", "z"]
    assert (anonymous.home / "asked").read_text() == "|".join(words) + "|\n" and os.listdir(anonymous.work) == []


FAILED, PRINTS, HALF = "/get' failed", "it does not print credentials of version 1", "of profile 'corp' have no SecretAccessKey"
BAD_PROCESSES = {  # text, exit status, what is said
    "fails": ("#!/bin/sh\necho stdout-words; echo stderr-words >&2; exit 3\n", 7, FAILED),
    "garbage": ("#!/bin/sh\necho garbage\n", 7, PRINTS),
    "nothing": ("#!/bin/sh\n", 7, PRINTS),
    "version 2": ('#!/bin/sh\necho \'{"Version": 2, "AccessKeyId": "a", "SecretAccessKey": "b"}\'\n', 7, PRINTS),
    "no version": ('#!/bin/sh\necho \'{"AccessKeyId": "a", "SecretAccessKey": "b"}\'\n', 7, PRINTS),
    "half": ('#!/bin/sh\necho \'{"Version": 1, "AccessKeyId": "a"}\'\n', 7, HALF),
    "odd date": ('#!/bin/sh\necho \'{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "tomorrow"}\'\n', 7, "have an expiry time that cannot be read"),
    "endless": ("#!/bin/sh\nexec yes\n", 7, "the program prints too much"),
    "killed": ("#!/bin/sh\nkill -9 $$\n", 7, FAILED),
    "no such interpreter": ("#!/nowhere/sh\n", 1, "/get': No such file or directory"),
}


@pytest.mark.parametrize("what", BAD_PROCESSES)
def test_processes_that_fail(anonymous, aws, key, what):
    text, status, words = BAD_PROCESSES[what]
    path = program(anonymous.home / "get", text)
    anonymous.config(f"[profile corp]\ncredential_process = {path}\n")
    said = refused(anonymous, key, status, words, AWS_PROFILE="corp")
    assert "the credential_process of profile 'corp'" in said and not aws.calls
    assert "stdout-words" not in said


def test_process_that_fails_at_last(anonymous, cloud, aws, key):
    """What it printed before does not count."""
    path = program(anonymous.home / "get", printed(cloud.user("corp", "kms:*")) + "exit 3\n")
    anonymous.config(f"[profile corp]\ncredential_process = {path}\n")
    refused(anonymous, key, 7, f"'{path}' failed", AWS_PROFILE="corp")
    assert not aws.calls


@pytest.mark.parametrize("how", [":", "exec >&- 2>&-"])
def test_process_that_hangs(anonymous, key, how):
    path = program(anonymous.home / "get", f"#!/bin/sh\n{how}\nexec sleep 60\n")
    anonymous.config(f"[profile corp]\ncredential_process = {path}\n")
    start = time.monotonic()
    refused(anonymous, key, 6, f"'{path}' takes too long", options=["--kms-timeout", "1"], AWS_PROFILE="corp")
    assert time.monotonic() - start < 20


NO_WORDS = [("x 'pa55word", 2, "a quote is not closed"), ('x "pa55word', 2, "a quote is not closed"), ("pa55word\\", 2, "nothing follows a backslash"),
            ("x " * 64 + "pa55word", 2, "more than 64 words"), ("", 2, "'credential_process' has no value"), ("   ", 2, "'credential_process' has no value")]  # fmt: skip


@pytest.mark.parametrize("line, status, words", NO_WORDS, ids=["single", "double", "backslash", "many", "none", "blanks"])
def test_lines_that_are_no_words(anonymous, aws, key, line, status, words):
    """What is wrong is said without the line, which may have a password."""
    anonymous.config(f"[profile corp]\ncredential_process = {line}\n")
    said = refused(anonymous, key, status, words, AWS_PROFILE="corp")
    assert "'corp'" in said and "pa55word" not in said and not aws.calls


def test_expired_before_it_began(anonymous, cloud, aws, key):
    path = program(anonymous.home / "get", printed(cloud.user("corp", "kms:*"), seconds=-60))
    anonymous.config(f"[profile corp]\ncredential_process = {path}\n")
    refused(anonymous, key, 7, "the credentials from the credential_process of profile 'corp' have expired", AWS_PROFILE="corp")
    assert not aws.calls


@pytest.mark.parametrize("seconds", [300, 899, 36000, None])
def test_credentials_serve_all_calls_of_a_run(anonymous, cloud, aws, key, seconds):
    """Two calls to KMS: a program is not run for each, however short its credentials last. The unit test of the chain has when it is."""
    session = cloud.session(cloud.role("corp", "kms:*"))
    for name in "ab":
        anonymous("encrypt", "-k", key.arn, "-o", name, stdin=b"x", env=session.environment())
    text = printed(session, seconds or 0)
    if seconds is None:
        text = text.replace('"Expiration"', '"Comment"')
    path = program(anonymous.home / "get", text)
    anonymous.config(f"[profile corp]\ncredential_process = {path}\n")
    anonymous("verify", "-k", key.arn, "a", "b", env={"AWS_PROFILE": "corp"})
    assert aws.calls["Decrypt"] == 2 and len((anonymous.home / "asked").read_text().splitlines()) == 1


def test_credentials_serve_all_keys_of_a_run(anonymous, cloud, aws, key):
    """A program that asks a person for a code must not do it for each key."""
    path = program(anonymous.home / "get", printed(cloud.user("corp", "kms:*")))
    anonymous.config(f"[profile corp]\ncredential_process = {path}\n")
    seal(anonymous, key, "-k", cloud.key().arn, AWS_PROFILE="corp")
    assert aws.calls["Encrypt"] == 2 and len((anonymous.home / "asked").read_text().splitlines()) == 1


# Expired tokens.


def test_expired_token_is_refreshed_once(anonymous, cloud, aws, key):
    session = cloud.session(cloud.role("corp", "kms:*"))
    session.expired_once = True
    path = program(anonymous.home / "get", printed(session))
    anonymous.config(f"[profile corp]\ncredential_process = {path}\n")
    seal(anonymous, key, AWS_PROFILE="corp")
    assert len((anonymous.home / "asked").read_text().splitlines()) == 2 and aws.calls["Encrypt"] == 2


def test_token_that_stays_expired(anonymous, cloud, aws, key):
    session = cloud.session(cloud.role("corp", "kms:*"), seconds=-1)
    path = program(anonymous.home / "get", printed(session))
    anonymous.config(f"[profile corp]\ncredential_process = {path}\n")
    refused(anonymous, key, 7, "ExpiredTokenException", AWS_PROFILE="corp")
    assert len((anonymous.home / "asked").read_text().splitlines()) == 2 and sum(aws.calls.values()) <= 4


def test_expired_token_of_the_environment(bulla, cloud, aws, key):
    """Nothing gives another one."""
    session = cloud.session(cloud.role("night", "kms:*"), seconds=-1)
    refused(bulla, key, 7, "ExpiredTokenException", **session.environment())
    assert sum(aws.calls.values()) <= 2


# The order.


def test_order_of_the_chain(container, cloud, imds, anonymous, key, who, web):
    """Each source is there; the first is taken away, and the next counts. As botocore has it."""
    bulla, task = anonymous, container()
    people = {name: cloud.user(name, "kms:*") for name in ("environment", "source", "filed", "process", "config")}
    role = cloud.role("assumed", "kms:*", trusts=[people["source"].arn])
    path = program(bulla.home / "get", printed(people["process"]))
    parts = {
        "role": f"role_arn = {role}\nsource_profile = source\n",
        "process": f"credential_process = {path}\n",
        "config": keys_of(people["config"]),
    }
    source = f"[source]\n{keys_of(people['source'])}"
    filed = source + f"[default]\n{keys_of(people['filed'])}"
    env = people["environment"].environment() | web | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": task.url + task.path}

    def expect(identity, config, credentials):
        bulla.config("[default]\n" + "".join(parts[name] for name in config), credentials)
        seal(bulla, key, **env)
        assert identity in who()

    expect("user/environment", ["role", "process", "config"], filed)
    for name in people["environment"].environment():
        env[name] = ""
    expect("assumed-role/assumed/", ["role", "process", "config"], filed)
    expect("assumed-role/pod/", ["process", "config"], filed)
    env |= dict.fromkeys(web, "")
    expect("user/filed", ["process", "config"], filed)
    expect("user/process", ["process", "config"], source)
    expect("user/config", ["config"], source)
    expect("assumed-role/task/", [], "")
    env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = ""
    expect("assumed-role/backup-host/", [], "")


def test_environment_beats_a_profile_of_the_environment(bulla, cloud, key, user, who):
    """AWS_PROFILE then only says the region and the like."""
    other = cloud.user("filed", "kms:*")
    bulla.config("", f"[night]\n{keys_of(other)}")
    seal(bulla, key, AWS_PROFILE="night")
    assert who() == user.arn


def test_no_provider_is_asked_that_is_not_needed(bulla, imds, container, user, key):
    task = container()
    seal(bulla, key, **user.environment(), AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path)
    assert imds.asked == [] and task.asked == []


def test_a_broken_provider_is_not_passed_over(container, imds, anonymous, aws, key):
    """Who named a source wants that one: the next is not taken in silence."""
    task = container(authorization="secret")
    refused(anonymous, key, 7, "answers with HTTP status 401", AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path)
    assert imds.asked == [] and not aws.calls


def test_one_set_of_credentials_serves_a_run(imds, anonymous, aws, key):
    files = [anonymous.seal(key.arn, CONTENT, name=str(n)) for n in range(3)]
    imds.asked.clear()
    anonymous("verify", "-k", key.arn, *files)
    assert aws.calls["Decrypt"] == 3 and len(imds.asked) == 3
    assert opened(anonymous, key, sealed=files[0]).stdout == CONTENT
