"""Settings that say where and how often AWS is asked, and sign-on that bulla leaves to others: as botocore of today has them."""

import os

import pytest

import other
from cloud import REGION
from faults import throttle
from kms_files import CONTENT, opened
from test_kms_credentials import refused
from test_kms_shared_files import FILED, REFUSED, Case, compare

USUAL = ("sts.us-east-1.amazonaws.com", "kms.us-east-1.amazonaws.com")
ENV, ENV_KMS, ENV_STS = "127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"
OWN, OWN_KMS, OWN_STS = "127.0.0.1:2001", "127.0.0.1:2002", "127.0.0.1:2003"
ALL = {"AWS_ENDPOINT_URL": f"https://{ENV}", "AWS_ENDPOINT_URL_KMS": f"https://{ENV_KMS}", "AWS_ENDPOINT_URL_STS": f"https://{ENV_STS}"}
SECTION = f"[services near]\ns3 =\n  endpoint_url = https://127.0.0.1:3001\nkms =\n  endpoint_url = https://{OWN_KMS}\n"
BOTH = SECTION + f"sts =\n  endpoint_url = https://{OWN_STS}\n"

ENDPOINTS = {  # environment, config file, where STS and KMS are asked
    "none": ({}, "", USUAL),
    "environment": (ALL, "", (ENV_STS, ENV_KMS)),
    "environment for all": ({"AWS_ENDPOINT_URL": f"https://{ENV}"}, "", (ENV, ENV)),
    "profile": ({}, f"[default]\nendpoint_url = https://{OWN}\n", (OWN, OWN)),
    "section": ({}, "[default]\nservices = near\n" + BOTH, (OWN_STS, OWN_KMS)),
    "section for one": ({}, "[default]\nservices = near\n" + SECTION, (USUAL[0], OWN_KMS)),
    "section beats profile": ({}, f"[default]\nendpoint_url = https://{OWN}\nservices = near\n" + SECTION, (OWN, OWN_KMS)),
    "environment beats section": ({"AWS_ENDPOINT_URL": f"https://{ENV}"}, "[default]\nservices = near\n" + BOTH, (ENV, ENV)),
    "environment for one": ({"AWS_ENDPOINT_URL_STS": f"https://{ENV_STS}"}, "[default]\nservices = near\n" + BOTH, (ENV_STS, OWN_KMS)),
    "section that nothing names": ({}, "[default]\n" + BOTH, USUAL),
    "section with another indent": ({}, f"[services near]\nkms=\n\tendpoint_url=https://{OWN_KMS}\n[default]\nservices=near\n", (USUAL[0], OWN_KMS)),
    "ignored by the environment": (ALL | {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"}, "[default]\nservices = near\n" + BOTH, USUAL),
    "ignored by the profile": (ALL, f"[default]\nignore_configured_endpoint_urls = true\nendpoint_url = https://{OWN}\n", USUAL),
    "not ignored after all": ({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}, f"[default]\nignore_configured_endpoint_urls = true\nendpoint_url = https://{OWN}\n", (OWN, OWN)),
    "ignored before it is looked for": ({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "[default]\nservices = nowhere\n", USUAL),
}  # fmt: skip


@pytest.fixture
def outside(bulla, proxy):
    """Without an endpoint, and with a proxy that leads all to the cloud."""
    bulla.environment |= {"AWS_ENDPOINT_URL": "", "HTTPS_PROXY": proxy.url, "AWS_DEFAULT_REGION": REGION}
    return bulla


@pytest.mark.parametrize("what", ENDPOINTS)
def test_endpoints(outside, proxy, key, what):
    environment, config, places = ENDPOINTS[what]
    outside.config(config)
    outside("key", "check", key.arn, env=environment)
    assert (proxy.asked[0], proxy.asked[-1]) == tuple(p if ":" in p else p + ":443" for p in places)
    assert len(set(proxy.asked)) == len(set(places))
    for service, place in zip(("sts", "kms"), places):
        assert other.look(outside.environment | environment, service, other.newest())["found"] == f"https://{place}"


@pytest.mark.parametrize("config", ["[default]\nservices = nowhere\n", "[default]\nservices = nowhere\nendpoint_url = https://127.0.0.1:9\n" + SECTION])
def test_section_that_is_not_there(outside, proxy, key, config):
    outside.config(config)
    refused(outside, key, 2, "profile 'default': the config file has no section [services nowhere]")
    assert proxy.asked == [] and "nowhere" in other.look(outside.environment, "kms", other.newest())["refused"]


def test_option_beats_what_is_ignored(outside, proxy, key):
    """--endpoint is no configured one."""
    outside("encrypt", "--endpoint", "https://127.0.0.1:4001", "-k", key.arn, "-o", "-", stdin=b"x", env={"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"})
    assert proxy.asked == ["127.0.0.1:4001"]


# An endpoint with a path, as gateways have.


@pytest.mark.parametrize("path", ["/kms", "/kms/", "/a-b_c.d~e/1"])
@pytest.mark.parametrize("how", ["option", "environment"])
def test_endpoint_with_a_path(bulla, serve, key, path, how):
    near = serve()
    near.path = path
    env = {"AWS_ENDPOINT_URL_KMS": near.url + path} if how == "environment" else {}
    options = ["--endpoint", near.url + path] if how == "option" else []
    sealed = bulla.seal(key.arn, CONTENT, *options, env=env)
    assert opened(bulla, key, sealed=sealed, options=options, env=env).stdout == CONTENT
    assert (near.calls["Encrypt"], near.calls["Decrypt"]) == (1, 1)
    found = other.look(bulla.environment | {"AWS_ENDPOINT_URL_KMS": near.url + path}, "kms", other.newest())
    assert found["found"] == near.url + path


@pytest.mark.parametrize("path", ["/kms?x=1", "/?", "/#x", "/#", "?", "//kms", "/kms//x", "/a%20b", "/\u00fc", "/a:b", "/" + "x" * 128])
def test_paths_that_are_refused(bulla, aws, key, path):
    """What is signed is not written by all in the same way, or is no path."""
    said = refused(bulla, key, 2, "has more than a plain path after the host", ["--endpoint", aws.url + path])
    assert "hint: https://HOST:PORT/PATH" in said and aws.requests == []


# Attempts.


@pytest.mark.parametrize("env, config, calls", [("", "", 3), ("1", "", 1), ("2", "", 2), ("", "max_attempts = 1\n", 1), ("2", "max_attempts = 1\n", 2)])
def test_attempts(bulla, aws, key, env, config, calls):
    bulla.config("[default]\n" + config)
    aws.fault("Encrypt", throttle, times=99)
    environment = {"AWS_MAX_ATTEMPTS": env} if env else {}
    refused(bulla, key, 6, "ThrottlingException", **environment)
    assert aws.calls["Encrypt"] == calls
    assert other.look(bulla.environment | environment | {"AWS_RETRY_MODE": "standard"}, "kms")["attempts"] == (calls if env or config else None)


@pytest.mark.parametrize("value", ["0", "-1", "x", "3x", "1.5", "101", "99999999999999999999"])
@pytest.mark.parametrize("how", ["environment", "profile"])
def test_attempts_that_are_none(bulla, aws, key, value, how):
    bulla.config(f"[default]\nmax_attempts = {value}\n" if how == "profile" else "")
    env = {"AWS_MAX_ATTEMPTS": value} if how == "environment" else {}
    refused(bulla, key, 2, f"AWS_MAX_ATTEMPTS or 'max_attempts' is '{value}', not a number from 1 to 100", **env)
    assert aws.requests == []


# "aws login".

SESSION = "login_session = arn:aws:iam::111122223333:user/someone\n"
LOGIN = (2, "profile 'default' signs on by login_session, which bulla does not do itself")
LOGINS = {
    "alone": Case("", f"[default]\n{SESSION}", LOGIN, REFUSED),
    "keys in the credentials file": Case("[default]\nKEYS", f"[default]\n{SESSION}", FILED, FILED),
    "keys beside": Case("", f"[default]\n{SESSION}KEYS", LOGIN, REFUSED),
    "process beside": Case("", f"[default]\n{SESSION}credential_process = /bin/false\n", LOGIN, REFUSED),
    "no value": Case("", "[default]\nlogin_session =\n", (2, "'login_session' has no value"), REFUSED),
    "of a source": Case("", f"[default]\nrole_arn = r\nsource_profile = base\n[profile base]\n{SESSION}",
                        (2, "profile 'base' signs on by login_session"), REFUSED),
}  # fmt: skip


@pytest.mark.parametrize("what", LOGINS)
def test_login(imds, anonymous, aws, key, cloud, what):
    compare(anonymous, key, imds, aws, cloud.user("filed", "kms:*"), LOGINS[what], other.newest())


def test_hint_of_a_login(anonymous, key):
    anonymous.config(f"[profile night]\n{SESSION}")
    said = refused(anonymous, key, 2, "signs on by login_session", AWS_PROFILE="night")
    assert "hint: make another profile with: credential_process = aws configure export-credentials --profile night --format process" in said


@pytest.mark.parametrize("source", ["profile", "container"])
def test_token_comes_from_no_pipe(anonymous, key, work, source):
    """It could be standard input, with the data that are to be sealed, and a token is read more than once."""
    os.mkfifo(work / "pipe")
    os.symlink("/dev/stdin", work / "link")
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{work}/pipe"}
    if source == "profile":
        anonymous.config(f"[profile pod]\nrole_arn = arn:aws:iam::111122223333:role/pod\nweb_identity_token_file = {work}/link\n")
        env = {"AWS_PROFILE": "pod"}
    done = anonymous("encrypt", "-k", key.arn, "-o", "out", stdin=b"x", env=env, status=1)
    path = work / ("link" if source == "profile" else "pipe")
    assert f"token file '{path}' is not a regular file" in done.stderr.decode() and not (work / "out").exists()
