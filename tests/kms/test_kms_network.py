"""Where bulla goes and whom it trusts: endpoints of every partition, proxies, certificates, redirects."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import botocore.config
import botocore.session
import pytest

from certificates import Authority
from faults import redirect
from kms_files import CONTENT, opened
from proxy import Proxy
from sealed import layout
from server import Server

PLACES = [
    ("us-east-1", "", "aws"), ("us-east-1", "fips", "aws"), ("us-east-1", "dual", "aws"), ("us-east-1", "fips dual", "aws"),
    ("eu-west-1", "", "aws"), ("us-gov-west-1", "", "aws-us-gov"), ("us-gov-west-1", "fips", "aws-us-gov"),
    ("cn-north-1", "", "aws-cn"), ("cn-north-1", "dual", "aws-cn"), ("us-iso-east-1", "", "aws-iso"), ("us-isob-east-1", "", "aws-iso-b"),
]  # fmt: skip


def kms_host(region, how, service="kms"):
    """Where botocore would go."""
    config = botocore.config.Config(use_fips_endpoint="fips" in how, use_dualstack_endpoint="dual" in how)
    session = botocore.session.Session()
    session.set_config_variable("sts_regional_endpoints", "regional")
    client = session.create_client(service, region, config=config, aws_access_key_id="x", aws_secret_access_key="x")
    return client.meta.endpoint_url.removeprefix("https://")


def wishes(how):
    return {"AWS_USE_FIPS_ENDPOINT": str("fips" in how).lower(), "AWS_USE_DUALSTACK_ENDPOINT": str("dual" in how).lower()}


@pytest.fixture
def outside(bulla, proxy):
    """Without an endpoint, so that the names of AWS are asked for, and a proxy that leads them to us."""
    del bulla.environment["AWS_ENDPOINT_URL"]
    bulla.environment["HTTPS_PROXY"] = proxy.url
    return bulla


@pytest.mark.parametrize("region, how, partition", PLACES)
def test_endpoints(outside, cloud, proxy, region, how, partition):
    """By the ARN alone, whatever AWS_REGION says; as botocore has it."""
    key = cloud.key(region=region, partition=partition)
    outside("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env=wishes(how))
    assert set(proxy.asked) == {kms_host(region, how) + ":443"}


STS_PLACES = [p for p in PLACES if p[0] in ("us-east-1", "us-gov-west-1", "cn-north-1") and p[:2] != ("cn-north-1", "dual")]


@pytest.mark.parametrize("region, how, partition", STS_PLACES)
def test_endpoints_of_sts(outside, cloud, proxy, user, region, how, partition):
    """Regional, where the role is assumed."""
    role = cloud.role("night", "kms:*", trusts=[user.arn])
    outside.config(f"[profile night]\nrole_arn = {role}\nsource_profile = base\n[profile base]\naws_access_key_id = {user.key_id}\naws_secret_access_key = {user.secret}\n")
    key = cloud.key(region=region, partition=partition)
    environment = {**wishes(how), "AWS_PROFILE": "night", "AWS_REGION": region, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    outside("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env=environment)
    assert proxy.asked[0] == kms_host(region, how, "sts") + ":443" and proxy.asked[-1] == kms_host(region, how) + ":443"


def test_kinds_of_endpoints_in_a_profile(outside, key, proxy):
    outside.config("[profile strict]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n")
    outside("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env={"AWS_PROFILE": "strict"})
    assert set(proxy.asked) == {"kms-fips.us-east-1.api.aws:443"}


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_variables_of_proxies(outside, key, proxy, variable):
    url = outside.environment.pop("HTTPS_PROXY")
    outside("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env={variable: url})
    assert proxy.asked


def test_no_proxy(outside, key, proxy):
    """What NO_PROXY names is asked for directly: here the guard does not find it."""
    environment = {"NO_PROXY": ".amazonaws.com"}
    done = outside("encrypt", "-k", key.arn, "--kms-timeout", "1", "-o", "-", stdin=b"x", env=environment, status=6)
    assert proxy.asked == [] and "kms.us-east-1.amazonaws.com" in outside.log.read_text().split()
    assert b"kms.us-east-1.amazonaws.com" in done.stderr


def test_proxy_that_refuses(outside, serve, aws, key):
    proxy = serve(Proxy, aws, refused=["kms.us-east-1.amazonaws.com"])
    outside("encrypt", "-k", key.arn, "--kms-timeout", "1", "-o", "-", stdin=b"x", env={"HTTPS_PROXY": proxy.url}, status=6)
    assert aws.requests == []


def test_password_of_a_proxy_is_not_printed(outside, key):
    for host in ("127.0.0.1:9", "nowhere.example:9"):
        env = {"HTTPS_PROXY": f"http://user:pr0xypassword@{host}"}
        done = outside("encrypt", "-k", key.arn, "--kms-timeout", "1", "-o", "-", stdin=b"x", env=env, status=6)
        assert b"pr0xypassword" not in done.stderr


def test_second_region_by_a_proxy_when_the_first_is_down(outside, serve, aws, cloud):
    keys = [cloud.key(region=region) for region in ("us-east-1", "eu-west-1")]
    sealed = outside.seal(keys[0].arn, CONTENT, "-k", keys[1].arn)
    half = serve(Proxy, aws, refused=["kms.us-east-1.amazonaws.com"])
    done = opened(outside, *keys, options=["--kms-timeout", "2"], sealed=sealed, env={"HTTPS_PROXY": half.url})
    assert done.stdout == CONTENT and half.asked[-1] == "kms.eu-west-1.amazonaws.com:443"


def test_metadata_never_goes_by_a_proxy(bulla, imds, container, proxy, key):
    """Whoever runs the proxy would get the credentials."""
    everything = {name: proxy.url for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")}
    bulla("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env=everything)
    assert imds.asked and not any(place for place in proxy.asked if "latest" in place or str(imds.port) in place)
    proxy.asked.clear()
    task = container()
    everything["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = task.url + task.path
    bulla("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env=everything)
    assert task.asked and not any(str(task.port) in place for place in proxy.asked)


def test_plain_http_never_goes_by_a_proxy(bulla, serve, proxy, key):
    """What is not protected stays on this machine."""
    near = serve(tls=None)
    everything = {name: proxy.url for name in ("http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY")}
    bulla("encrypt", "--endpoint", near.url, "-k", key.arn, "-o", "-", stdin=b"x", env=everything)
    assert near.calls["Encrypt"] == 1 and proxy.asked == []


# Custom endpoints.


def test_endpoint_option_beats_the_environment(bulla, serve, aws, key):
    other = serve()
    bulla("encrypt", "--endpoint", other.url, "-k", key.arn, "-o", "-", stdin=b"x")
    assert other.calls["Encrypt"] == 1 and aws.requests == []


def test_order_of_the_variables(bulla, serve, aws, key):
    kms = serve()
    bulla("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env={"AWS_ENDPOINT_URL_KMS": kms.url})
    assert kms.calls["Encrypt"] == 1 and aws.requests == []


def test_endpoint_of_sts(bulla, serve, aws, key):
    """AWS_ENDPOINT_URL_STS for STS; --endpoint is for KMS alone."""
    kms, sts = serve(), serve()
    bulla("key", "check", "--endpoint", kms.url, key.arn, env={"AWS_ENDPOINT_URL_STS": sts.url})
    assert aws.requests == [] and set(sts.calls) == {"GetCallerIdentity"} and "GetCallerIdentity" not in kms.calls


def test_verbs_that_take_the_options(bulla, serve, aws, cloud, key):
    """Whatever may ask KMS."""
    other, third = serve(), cloud.key().arn
    cloud.alias("alias/nightly", key)
    options = ["--endpoint", other.url, "--kms-timeout", "20"]
    sealed = bulla.seal(key.arn, CONTENT, *options)
    bulla("verify", *options, "-k", key.arn, sealed)
    bulla("rewrap", *options, "-k", key.arn, "--to", third, sealed)
    bulla("reencrypt", *options, "-k", third, "--to", key.arn, sealed)
    bulla("status", *options, "--needs", "alias/nightly", sealed, status=7)
    bulla("envelope", "export", sealed)
    raw = sealed.read_bytes()
    sealed.write_bytes(bytes(layout(raw).body) + raw[layout(raw).body :])
    bulla("envelope", "restore", *options, "-k", key.arn, sealed)
    assert opened(bulla, key, sealed=sealed, options=options).stdout == CONTENT and aws.requests == []


def test_endpoint_of_a_profile(bulla, serve, aws, key):
    other = serve()
    bulla.config(f"[profile near]\nendpoint_url = {other.url}\n")
    bulla("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env={"AWS_PROFILE": "near", "AWS_ENDPOINT_URL": ""})
    assert other.calls["Encrypt"] == 1 and aws.requests == []


def test_vpc_endpoint(outside, key, proxy):
    """Signed for the region of the key, though the name does not tell it."""
    name = "vpce-0123-abcd.kms.us-east-1.vpce.amazonaws.com"
    outside("encrypt", "--endpoint", f"https://{name}", "-k", key.arn, "-o", "-", stdin=b"x")
    assert set(proxy.asked) == {f"{name}:443"}


FAR = ["http://192.0.2.1:80", "http://kms.us-east-1.amazonaws.com", "http://127.0.0.1.evil.example:80", "http://localhost.evil.example"]
NO_SERVICE = ["ftp://127.0.0.1", "file:///etc/passwd", "https://", "nonsense"]
WITH_USER = ["http://127.0.0.1@192.0.2.1/", "https://user:pass@127.0.0.1"]


@pytest.mark.parametrize("url, words", [(url, "is not https") for url in FAR] + [(url, "is not the URL of a service") for url in NO_SERVICE]
                         + [(url, "the URL of a service has no '@' in it") for url in WITH_USER])  # fmt: skip
def test_endpoints_that_are_refused(bulla, aws, key, url, words):
    """Plain http goes no further than this machine; nobody is even asked for."""
    done = bulla("encrypt", "--endpoint", url, "-k", key.arn, "-o", "-", stdin=b"x", status=2)
    assert words.encode() in done.stderr and done.stdout == b"" and aws.requests == [] and not bulla.log.exists()
    assert b":pass" not in done.stderr


def loopbacks():
    """Not every container has the one of IPv6."""
    yield "127.0.0.1"
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        yield "::1"


@pytest.mark.parametrize("host", loopbacks())
def test_plain_http_on_loopback(bulla, serve, key, host):
    near = serve(tls=None, host=host)
    sealed = bulla.seal(key.arn, CONTENT, "--endpoint", near.url)
    assert opened(bulla, key, sealed=sealed, options=["--endpoint", near.url]).stdout == CONTENT
    assert (near.calls["Encrypt"], near.calls["Decrypt"]) == (1, 1)


def test_redirects_are_not_followed(bulla, serve, aws, key):
    other = serve()
    sealed = bulla.seal(key.arn, CONTENT)
    aws.fault("*", redirect(other.url), times=9)
    for words in (["decrypt", sealed], ["encrypt"]):
        assert b"a redirect, which is not followed" in bulla(*words, "-k", key.arn, "-o", "-", status=7).stderr
    assert other.requests == []


# Certificates.


def refused(bulla, key, server, status=7, said=b"' is not trusted: ", **env):
    """No request arrives where the certificate is not right; returns what is said."""
    words = ["encrypt", "--kms-timeout", "3", "--endpoint", server.url, "-k", key.arn, "-o", "out.bulla"]
    done = bulla(*words, stdin=b"x", env=env, status=status)
    assert said in done.stderr and server.requests == [] and not (bulla.work / "out.bulla").exists()
    return done.stderr


def test_wrong_authority(bulla, serve, key, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    assert b"certificate" in refused(bulla, key, serve(tls=stranger.server("127.0.0.1")))


def test_wrong_name(bulla, serve, authority, key):
    assert b"certificate" in refused(bulla, key, serve(tls=authority.server("kms.us-east-1.amazonaws.com")))


def test_expired_certificate(bulla, serve, authority, key):
    assert b"certificate" in refused(bulla, key, serve(tls=authority.server("127.0.0.1", days=(-10, -1))))


def test_without_the_bundle(bulla, aws, key):
    """The system's authorities do not know ours."""
    refused(bulla, key, aws, AWS_CA_BUNDLE="")
    refused(bulla, key, aws, AWS_CA_BUNDLE="/nowhere.pem")


def test_bundle_of_a_profile(bulla, authority, key):
    bulla.config(f"[profile near]\nca_bundle = {authority.bundle}\n")
    bulla("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env={"AWS_PROFILE": "near", "AWS_CA_BUNDLE": ""})


@pytest.mark.parametrize("spoil, words", [
    (lambda bundle: bundle.chmod(0o666), "its group and others can write file"),
    (lambda bundle: bundle.parent.chmod(0o777), "its group and others can write directory"),
    pytest.param(lambda bundle: os.chown(bundle, 1234, -1), "belongs to user 1234", marks=pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")),
])
@pytest.mark.parametrize("how", ["AWS_CA_BUNDLE", "ca_bundle"])
def test_bundle_that_others_may_write(bulla, aws, authority, key, tmp_path, how, spoil, words):
    """Who writes it chooses the server that is sent the branch key."""
    (tmp_path / "mine").mkdir()
    bundle = tmp_path / "mine/authorities.pem"
    shutil.copy(authority.bundle, bundle)
    bulla.config(f"[profile own]\nca_bundle = {bundle}\n")
    env = {"AWS_CA_BUNDLE": str(bundle)} if how == "AWS_CA_BUNDLE" else {"AWS_CA_BUNDLE": "", "AWS_PROFILE": "own"}
    bulla("encrypt", "-k", key.arn, "-o", "-", stdin=b"x", env=env)
    spoil(bundle)
    before = len(aws.requests)
    done = bulla("encrypt", "-k", key.arn, "-o", "out.bulla", stdin=b"x", env=env, status=7)
    assert f"file of certificates '{bundle}' may be from somebody else: ".encode() in done.stderr and words.encode() in done.stderr
    assert len(aws.requests) == before and not (bulla.work / "out.bulla").exists()


@pytest.fixture
def believed(tmp_path):
    """A stranger's authority, and a command under which it is in the system's directory of authorities."""
    stranger, directory = Authority(tmp_path, "stranger"), tmp_path / "certs"
    directory.mkdir()
    name = subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", stranger.bundle], check=True, capture_output=True, text=True).stdout.strip()
    shutil.copy(stranger.bundle, directory / f"{name}.0")
    shutil.copy(Authority(tmp_path, "another").bundle, directory / "ca-certificates.crt")
    own = ["--map-root-user"] if os.geteuid() != 0 else []
    under = ["unshare", "--mount", *own, "sh", "-c", 'mount --bind "$0" /etc/ssl/certs && exec "$@"', directory]
    if subprocess.run([*under, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mounts of its own for a program")
    return stranger, under


@pytest.mark.parametrize("how", ["AWS_CA_BUNDLE", "ca_bundle"])
def test_bundle_replaces_the_authorities_of_the_system(bulla, serve, authority, key, believed, how):
    stranger, under = believed
    server = serve(tls=stranger.server("127.0.0.1"))
    command = ["encrypt", "--kms-timeout", "3", "--endpoint", server.url, "-k", key.arn, "-o", "out.bulla"]
    bulla.config(f"[profile strict]\nca_bundle = {authority.bundle}\n")
    env = {"AWS_CA_BUNDLE": str(authority.bundle)} if how == "AWS_CA_BUNDLE" else {"AWS_CA_BUNDLE": "", "AWS_PROFILE": "strict"}
    done = bulla(*command, stdin=b"x", env=env, under=under, status=7)
    assert b"' is not trusted: " in done.stderr and server.requests == [] and not (bulla.work / "out.bulla").exists()
    bulla(*command, stdin=b"x", env={"AWS_CA_BUNDLE": ""}, under=under)
    assert server.calls["Encrypt"] == 1


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls(bulla, serve, authority, key, tmp_path):
    """Not even where the machine allows it."""
    tls = authority.server("127.0.0.1")
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version, tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    lax = tmp_path / "openssl.cnf"
    lax.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n")
    refused(bulla, key, serve(tls=tls), status=6, said=b"cannot reach", OPENSSL_CONF=str(lax))


def test_plain_http_where_tls_is_expected(bulla, serve, key):
    near = serve(tls=None)
    near.url = near.url.replace("http:", "https:")
    refused(bulla, key, near, status=6, said=b"cannot reach")


def test_nobody_listens(bulla, key):
    server = Server(None)
    server.close()
    done = bulla("encrypt", "--kms-timeout", "1", "--endpoint", server.url, "-k", key.arn, "-o", "-", stdin=b"x", status=6)
    assert server.url.encode() in done.stderr


# A name server that does not answer. The guard's never comes back, so bulla must not wait for it; the C library gives a real one ten seconds.

NAME = "kms.us-east-1.amazonaws.com"
SILENT_SERVER = """
import os, socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
os.set_inheritable(server.fileno(), True)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(params=["guard", "server"])
def silent(request, bulla, tmp_path):
    """Options for bulla under which no name is ever found."""
    bulla.environment["AWS_ENDPOINT_URL"] = ""
    if request.param == "guard":
        bulla.environment["LOOPBACK_SILENT"] = "1"
        return {}
    bulla.environment["LD_PRELOAD"] = ""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    own = ["--map-root-user"] if os.geteuid() != 0 else []
    under = ["unshare", "--mount", "--net", *own, "/usr/bin/python3", "-c", SILENT_SERVER, tmp_path / "resolv.conf"]
    if subprocess.run([*under, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mounts and no network of its own for a program")
    return {"under": under}


def test_silent_name_server(bulla, key, silent):
    done = bulla("encrypt", "--kms-timeout", "2", "-k", key.arn, "-o", "out.bulla", stdin=b"x", status=6, **silent)
    assert f"'https://{NAME}/': Resolving timed out".encode() in done.stderr and not (bulla.work / "out.bulla").exists()


def test_interrupted_while_a_name_is_looked_for(bulla, key, silent):
    process = bulla.start("encrypt", "--kms-timeout", "3600", "-k", key.arn, "-o", "out.bulla", stdin=subprocess.DEVNULL, **silent)
    while bulla.program not in os.readlink(f"/proc/{process.pid}/exe") or len(os.listdir(f"/proc/{process.pid}/task")) < 2:
        time.sleep(0.02)  # the thread that looks for the name
    process.send_signal(signal.SIGINT)
    bulla.finish(process, status=130)
    assert not (bulla.work / "out.bulla").exists()
