"""bulla against a small AWS on loopback: what every test has, with a cloud, a server for it and a guard at the door."""

import base64
import pathlib
import subprocess

import pytest

from certificates import Authority
from cloud import REGION, Cloud
from metadata import ContainerEndpoint, InstanceMetadata
from program import SANITIZED, Bulla
from proxy import Proxy
from server import Server

HERE = pathlib.Path(__file__).parent
# Each of these is known to some test by a proxy; the certificate of the server must have them all.
NAMES = [
    "localhost", "127.0.0.1", "::1",
    *(f"{service}.{region}.amazonaws.com" for region in ("us-east-1", "eu-west-1", "us-gov-west-1") for service in ("kms", "kms-fips", "sts", "sts-fips")),
    *(f"{service}.{region}.api.aws" for region in ("us-east-1", "eu-west-1", "us-gov-west-1") for service in ("kms", "kms-fips", "sts", "sts-fips")),
    "kms.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com.cn", "kms.cn-north-1.api.amazonwebservices.com.cn",
    "kms.us-iso-east-1.c2s.ic.gov", "kms.us-isob-east-1.sc2s.sgov.gov", "sts.amazonaws.com",
    "vpce-0123-abcd.kms.us-east-1.vpce.amazonaws.com",
]  # fmt: skip


class KmsBulla(Bulla):
    """Bulla with credentials for the cloud; no output may hold a secret key, a session token or a branch key."""

    cloud = None

    def check(self, *outputs):
        super().check(*outputs)
        for output in outputs:
            for secret in self.cloud.secrets:
                assert secret.encode() not in output, "a secret key or a token was printed"
                assert secret[8:24].encode() not in output, "a piece of a secret key or a token was printed"
            for key in self.cloud.plaintexts:
                assert key not in output and base64.b64encode(key) not in output, "a branch key was printed"
                assert key.hex().encode() not in output.lower(), "a branch key was printed"

    def config(self, config="", credentials=""):
        """Shared files in the home, as people have them."""
        directory = self.home / ".aws"
        directory.mkdir(exist_ok=True)
        (directory / "config").write_text(config)
        (directory / "credentials").write_text(credentials)


@pytest.fixture(scope="session")
def guard(tmp_path_factory):
    """A library that keeps what it is loaded into on this machine."""
    library = tmp_path_factory.mktemp("guard") / "loopback.so"
    subprocess.run(["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, HERE / "loopback.c"], check=True)
    return library


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def tls(authority):
    return authority.server(*NAMES)


@pytest.fixture
def cloud():
    return Cloud()


@pytest.fixture
def serve(cloud, tls):
    """Starts servers, and closes them at the end; nothing that a client must never do may have happened."""
    started = []

    def start(make=Server, *args, **how):
        if make is Server:
            args, how = (cloud, how.pop("tls", tls)), how
        started.append(make(*args, **how))
        return started[-1]

    yield start
    for server in started:
        server.close()
    assert [what for server in started for what in getattr(server, "broken", [])] == []


@pytest.fixture
def aws(serve):
    return serve()


@pytest.fixture
def proxy(serve, aws):
    return serve(Proxy, aws)


@pytest.fixture
def key(cloud):
    return cloud.key()


@pytest.fixture
def user(cloud):
    """Who the tests are unless they say otherwise: may do everything."""
    return cloud.user("backup", "kms:*")


@pytest.fixture
def bulla(tmp_path, cloud, aws, user, authority, guard):
    KmsBulla.cloud = cloud
    program = KmsBulla(tmp_path)
    program.log = tmp_path / "asked"
    program.environment |= {
        "AWS_ENDPOINT_URL": aws.url, "AWS_CA_BUNDLE": str(authority.bundle), "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true", "LD_PRELOAD": str(guard), "LOOPBACK_LOG": str(program.log),
    }  # fmt: skip
    if SANITIZED:
        options = program.environment.get("ASAN_OPTIONS", "")
        program.environment["ASAN_OPTIONS"] = f"{options}:verify_asan_link_order=0"
    program.environment |= user.environment()
    yield program
    program.stop()


@pytest.fixture
def anonymous(bulla):
    """Without credentials in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        bulla.environment.pop(name, None)
    return bulla


@pytest.fixture
def imds(serve, cloud, anonymous):
    """Instance metadata for a role that may do everything; bulla is sent there."""
    role = cloud.role("backup-host", "kms:*")
    service = serve(InstanceMetadata, cloud.session(role))
    anonymous.environment |= {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url, "AWS_EC2_METADATA_DISABLED": "false"}
    return service


@pytest.fixture
def container(serve, cloud):
    def start(**how):
        role = cloud.role("task", "kms:*")
        return serve(ContainerEndpoint, cloud.session(role), **how)

    return start
