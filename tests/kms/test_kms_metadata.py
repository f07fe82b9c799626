"""Credentials of the place bulla runs in: the containers' endpoint and the instance metadata of EC2."""

import dataclasses
import json

import pytest

from metadata import InstanceMetadata, text
from test_kms_credentials import NONE, refused, seal, who  # noqa: F401 (a fixture)

DIRECTORY = "/latest/meta-data/iam/security-credentials/"


# Instance metadata.


def test_version_2(imds, anonymous, key, who):  # noqa: F811
    seal(anonymous, key)
    assert "assumed-role/backup-host/" in who()
    assert imds.asked[0] == "PUT /latest/api/token" and imds.asked[-1] == f"GET {DIRECTORY}backup-host" and len(imds.asked) == 3


def test_version_1_is_refused(serve, imds, anonymous, aws, key):
    """A server that has no tokens is asked for nothing else."""
    old = serve(InstanceMetadata, imds.principal, v1_only=True)
    refused(anonymous, key, 7, "version 1 of the instance metadata service is not used; enable version 2", AWS_EC2_METADATA_SERVICE_ENDPOINT=old.url)
    assert set(old.asked) == {"PUT /latest/api/token"} and not aws.calls


def test_disabled(imds, anonymous, aws, key):
    refused(anonymous, key, 7, NONE, AWS_EC2_METADATA_DISABLED="true")
    assert imds.asked == [] and not aws.calls


def test_usual_address(imds, anonymous, key, who):  # noqa: F811
    seal(anonymous, key, AWS_EC2_METADATA_SERVICE_ENDPOINT="", LOOPBACK_TO=f"169.254.169.254={imds.port}")
    assert "assumed-role/backup-host/" in who() and "169.254.169.254" in anonymous.log.read_text().split()


def test_usual_address_of_ipv6(imds, anonymous, key, who):  # noqa: F811
    seal(anonymous, key, AWS_EC2_METADATA_SERVICE_ENDPOINT="", AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE="IPv6", LOOPBACK_TO=f"fd00:ec2::254={imds.port}")
    assert "assumed-role/backup-host/" in who() and "fd00:ec2::254" in anonymous.log.read_text().split()


def test_settings_of_a_profile(imds, anonymous, key, who):  # noqa: F811
    anonymous.config(f"[default]\nec2_metadata_service_endpoint = {imds.url}\n")
    seal(anonymous, key, AWS_EC2_METADATA_SERVICE_ENDPOINT="")
    assert "assumed-role/backup-host/" in who()


def test_no_such_service(anonymous, aws, key):
    """Elsewhere than on EC2 nothing answers there: that is no error of its own."""
    refused(anonymous, key, 7, NONE, AWS_EC2_METADATA_DISABLED="false")
    assert "169.254.169.254" in anonymous.log.read_text() and not aws.calls


@pytest.mark.parametrize("url", ["http://192.0.2.1", "http://imds.example", "http://127.0.0.1.example"])
def test_other_hosts_take_tls(imds, anonymous, aws, key, url):
    refused(anonymous, key, 2, f"'{url}' is neither https nor on this machine", AWS_EC2_METADATA_SERVICE_ENDPOINT=url)
    assert not aws.calls and (not anonymous.log.exists() or "192.0.2.1" not in anonymous.log.read_text())


NO_ROLE, NO_TOKEN, UNREAD = "service names no role", "gives no token: HTTP status 200", "service has no credentials for role"
STRANGE = {  # path, answer, exit status, what is said
    "no role": (DIRECTORY, text(404, "not found"), 7, NONE),
    "role is a path": (DIRECTORY, text(200, "../../user-data"), 7, NO_ROLE),
    "role has lines": (DIRECTORY, text(200, "x\r\nHost: evil"), 6, f"{UNREAD} x"),
    "role is long": (DIRECTORY, text(200, "x" * 50_000), 7, NO_ROLE),
    "role is empty": (DIRECTORY, text(200, ""), 7, NONE),
    "token has lines": ("/latest/api/token", text(200, "x\r\nHost: evil"), 7, NO_TOKEN),
    "token is long": ("/latest/api/token", text(200, "x" * 100_000), 7, "is longer than 65536 bytes"),
    "failed": (DIRECTORY + "backup-host", text(200, '{"Code": "AssumeRoleUnauthorizedAccess", "Message": "no"}'), 6, f"{UNREAD} backup-host"),
    "not JSON": (DIRECTORY + "backup-host", text(200, "<html>"), 6, f"{UNREAD} backup-host"),
    "deep": (DIRECTORY + "backup-host", text(200, "[" * 20_000), 6, f"{UNREAD} backup-host"),
    "half": (DIRECTORY + "backup-host", text(200, '{"Code": "Success", "AccessKeyId": "a"}'), 7, "(role backup-host) have no SecretAccessKey"),
    "redirect": (DIRECTORY, text(302, "", Location="http://192.0.2.1/"), 7, "answers with HTTP status 302"),
}


@pytest.mark.parametrize("what", STRANGE)
def test_strange_answers(imds, anonymous, aws, key, what):
    path, answer, status, words = STRANGE[what]
    imds.strange[path] = answer
    refused(anonymous, key, status, words)
    assert not aws.calls and not any("user-data" in asked for asked in imds.asked)


def test_credentials_that_end_soon_serve_a_run(serve, imds, anonymous, cloud, key):
    """The service gives the same until minutes before they expire: to ask it for each call gains nothing."""
    soon = serve(InstanceMetadata, imds.principal, seconds=120)
    seal(anonymous, key, "-k", cloud.key().arn, AWS_EC2_METADATA_SERVICE_ENDPOINT=soon.url)
    assert soon.asked.count(f"GET {DIRECTORY}backup-host") == 1


def once(service, path, answer):
    """The first answer for a path is another one."""
    service.strange[path], honest = answer, service.answer

    def first(request):
        given = honest(request)
        if request.path == path:
            service.strange.pop(path, None)
        return given

    service.answer = first


SLOW = dataclasses.replace(text(200, "late"), stall=300)
PARTS = ["/latest/api/token", DIRECTORY, DIRECTORY + "backup-host"]


@pytest.mark.parametrize("path", PARTS)
@pytest.mark.parametrize("first", [SLOW, text(503, "later")], ids=["slow", "later"])
def test_service_that_fails_once(imds, anonymous, key, who, path, first):  # noqa: F811
    once(imds, path, first)
    seal(anonymous, key)
    assert "assumed-role/backup-host/" in who() and sum(asked.endswith(" " + path) for asked in imds.asked) == 2


@pytest.mark.parametrize("path", PARTS)
def test_service_that_stays_slow(imds, anonymous, aws, key, path):
    """It is there: that is no lack of credentials, and a later run may do."""
    imds.strange[path] = SLOW
    said = refused(anonymous, key, 6, f"cannot reach '{imds.url}{path}'", AWS_METADATA_SERVICE_NUM_ATTEMPTS="2")
    assert NONE not in said and len(imds.asked) == PARTS.index(path) + 2 and not aws.calls
    assert ("hop limit" in said) == (path == PARTS[0])


@pytest.mark.parametrize("name", ["TIMEOUT", "NUM_ATTEMPTS"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "101"])
def test_numbers_of_the_service_that_are_none(imds, anonymous, aws, key, name, value):
    refused(anonymous, key, 2, f"AWS_METADATA_SERVICE_{name} or 'metadata_service_{name.lower()}' is '{value}', not a number from 1 to", **{f"AWS_METADATA_SERVICE_{name}": value})
    assert imds.asked == [] and not aws.calls


# Containers.


def test_full_uri(container, anonymous, key, who):  # noqa: F811
    task = container()
    seal(anonymous, key, AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path)
    assert "assumed-role/task/" in who()


@pytest.mark.parametrize("path", ["/v2/credentials/0123", "/creds?id=a%20b&x=1"])
def test_relative_uri(container, anonymous, key, who, path):  # noqa: F811
    """It goes to ECS's address and beats a full one."""
    task = container(path=path)
    env = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": path, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/"}
    seal(anonymous, key, LOOPBACK_TO=f"169.254.170.2={task.port}", **env)
    assert "assumed-role/task/" in who() and "169.254.170.2" in anonymous.log.read_text().split()


def test_relative_uri_does_not_lead_elsewhere(anonymous, aws, key):
    """It is a path; it cannot become part of the host."""
    for path in ("@192.0.2.1/x", ".evil.example/x", ":80@192.0.2.1/"):
        refused(anonymous, key, 6, f"cannot reach 'http://169.254.170.2/{path}'", AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=path)
        assert not aws.calls
    assert not {"192.0.2.1", "169.254.170.2.evil.example"} & set(anonymous.log.read_text().split())


def test_token(container, anonymous, key, who):  # noqa: F811
    task = container(authorization="Basic c2VjcmV0")
    seal(anonymous, key, AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path, AWS_CONTAINER_AUTHORIZATION_TOKEN="Basic c2VjcmV0")
    assert "assumed-role/task/" in who()


def test_token_file(container, anonymous, key, tmp_path, who):  # noqa: F811
    """As EKS pod identity has it; the file goes before the variable."""
    task = container(authorization="jwt-from-a-file")
    path = tmp_path / "token"
    path.write_text("jwt-from-a-file")
    env = {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(path), "AWS_CONTAINER_AUTHORIZATION_TOKEN": "other"}
    seal(anonymous, key, AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path, **env)
    assert "assumed-role/task/" in who()


def test_token_that_would_break_a_header(container, anonymous, aws, key):
    task = container(authorization="x")
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": task.url + task.path, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "x\r\nHost: evil"}
    refused(anonymous, key, 2, "the container's token has more than one line", **env)
    assert task.asked == [] and not aws.calls


def test_token_file_of_two_lines(container, anonymous, key, tmp_path):
    """The first counts: files end with a line end."""
    task = container(authorization="x")
    path = tmp_path / "token"
    path.write_text("x\r\nX-Evil: y")
    seal(anonymous, key, AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(path))
    assert "X-Evil" not in task.heard[-1]


def test_missing_token_file(container, anonymous, aws, key):
    task = container()
    env = {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere/token", "AWS_CONTAINER_CREDENTIALS_FULL_URI": task.url + task.path}
    refused(anonymous, key, 10, "cannot open token file '/nowhere/token'", **env)
    assert not aws.calls and task.asked == []


@pytest.mark.parametrize("size", [16384, 16385])
def test_longest_token_file(container, anonymous, aws, key, tmp_path, size):
    """One that is longer is refused, not sent in part."""
    token, path = "t" * size, tmp_path / "token"
    path.write_text(token)
    task = container(authorization=token)
    env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": task.url + task.path, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(path)}
    if size == 16384:
        seal(anonymous, key, **env)
        assert task.heard[-1]["Authorization"] == token
    else:
        refused(anonymous, key, 2, f"'{path}' is longer than 16384 bytes", **env)
        assert task.asked == [] and not aws.calls


@pytest.mark.parametrize("variable, start", [("FULL", "http://127.0.0.1:{}"), ("RELATIVE", "")])
@pytest.mark.parametrize("size", [2047, 2048])
def test_longest_url_of_a_container(container, anonymous, aws, key, variable, start, size):
    """One that is longer is refused, not asked for in part: its end may be what matters."""
    task = container()
    start = start.format(task.port)
    path = "/" + "p" * (size - len(start or "http://169.254.170.2") - 1)
    task.path = path
    env = {f"AWS_CONTAINER_CREDENTIALS_{variable}_URI": start + path, "LOOPBACK_TO": f"169.254.170.2={task.port}"}
    if size == 2047:
        seal(anonymous, key, **env)
        assert task.asked == [f"GET {path}"]
    else:
        refused(anonymous, key, 2, "endpoint is longer than 2047 bytes", **env)
        assert task.asked == [] and not aws.calls


@pytest.mark.parametrize("host", ["192.0.2.1", "ecs.example", "127.0.0.1.example", "169.254.169.253", "169.254.170.2.example", "[fd00:ec2::24]",
                                  "127.0.0.1@192.0.2.1"])  # fmt: skip
def test_hosts_that_are_not_allowed(anonymous, aws, key, host):
    words = "the URL of a service has no '@' in it" if "@" in host else f"'http://{host}/x' is neither https nor on this machine"
    refused(anonymous, key, 2, words, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://{host}/x", AWS_CONTAINER_AUTHORIZATION_TOKEN="t0k3n")
    assert not aws.calls and not anonymous.log.exists()


@pytest.mark.parametrize("host", ["169.254.170.23", "169.254.170.2", "fd00:ec2::23"])
def test_hosts_that_are_allowed(container, anonymous, key, who, host):  # noqa: F811
    task = container()
    uri = f"http://{'[' + host + ']' if ':' in host else host}{task.path}"
    seal(anonymous, key, AWS_CONTAINER_CREDENTIALS_FULL_URI=uri, LOOPBACK_TO=f"{host}={task.port}")
    assert "assumed-role/task/" in who()


def test_tls_is_allowed_anywhere(container, anonymous, tls, key, who):  # noqa: F811
    task = container(tls=tls)
    seal(anonymous, key, AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path)
    assert "assumed-role/task/" in who()


def test_container_that_recovers(container, anonymous, key, who):  # noqa: F811
    task = container()
    task.strange[task.path] = text(500, "later")
    honest = task.answer

    def answer(request):
        result = honest(request)
        task.strange.clear()
        return result

    task.answer = answer
    seal(anonymous, key, AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path)
    assert "assumed-role/task/" in who() and len(task.asked) == 2


STRANGE_OF_A_CONTAINER = {
    "empty": ("", 6, "does not answer with credentials"),
    "list": ("[]", 6, "does not answer with credentials"),
    "numbers": (json.dumps({"AccessKeyId": 1, "SecretAccessKey": 2}), 7, "from the container's endpoint have no AccessKeyId"),
    "deep": ("{" * 20_000, 6, "does not answer with credentials"),
    "long": ("x" * 200_000, 7, "is longer than 65536 bytes"),
}


@pytest.mark.parametrize("what", STRANGE_OF_A_CONTAINER)
def test_strange_answers_of_a_container(container, anonymous, aws, key, what):
    body, status, words = STRANGE_OF_A_CONTAINER[what]
    task = container()
    task.strange[task.path] = text(200, body)
    refused(anonymous, key, status, words, AWS_CONTAINER_CREDENTIALS_FULL_URI=task.url + task.path)
    assert not aws.calls
