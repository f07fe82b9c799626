"""Servers of S3 that others wrote, each with a bucket of its own for each test."""

import itertools
import os
import pathlib
import socket
import subprocess
import sys
import time

import botocore.config
import botocore.exceptions
import botocore.session
import pytest

TESTS = pathlib.Path(__file__).parents[1]
sys.path[1:1] = [str(TESTS / "kms"), str(TESTS / "s3")]
ID, SECRET = "keykeykey", "secretsecret"


class Server:
    """One that runs on loopback below a directory."""

    def __init__(self, name, directory):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        self.name, self.url, self.buckets = name, f"http://{self.address}", itertools.count()
        for part in ("data", "versions"):
            (directory / part).mkdir()
        program = pathlib.Path(os.environ["BULLA_SERVERS"]) / name
        command = {
            "versitygw": [program, "--port", self.address, "posix", "--versioning-dir", directory / "versions", directory / "data"],
            "minio": [program, "server", "--address", self.address, directory / "data"],
        }[name]  # fmt: skip
        names = {"ROOT_ACCESS_KEY": ID, "ROOT_SECRET_KEY": SECRET, "MINIO_ROOT_USER": ID, "MINIO_ROOT_PASSWORD": SECRET, "MINIO_BROWSER": "off"}
        self.process = subprocess.Popen(command, env={"HOME": str(directory), "PATH": os.environ["PATH"]} | names, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        config = botocore.config.Config(s3={"addressing_style": "path"}, proxies={}, retries={"max_attempts": 0})
        self.client = botocore.session.Session().create_client("s3", "us-east-1", endpoint_url=self.url, config=config, aws_access_key_id=ID, aws_secret_access_key=SECRET)
        self.wait()

    def wait(self):
        end = time.monotonic() + 60
        while True:
            try:
                return self.client.list_buckets()
            except botocore.exceptions.BotoCoreError:
                assert time.monotonic() < end and self.process.poll() is None, f"{self.name} does not start"
                time.sleep(0.2)

    def bucket(self, **how):
        name = f"bucket-{next(self.buckets)}"
        self.client.create_bucket(Bucket=name, **how)
        return name

    def close(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="session", params=["versitygw", "minio"])
def server(request, tmp_path_factory):
    made = Server(request.param, tmp_path_factory.mktemp(request.param))
    yield made
    made.close()


@pytest.fixture
def bucket(server):
    return server.bucket()


@pytest.fixture
def s3(bulla, server, ring):
    bulla.environment |= {"AWS_ENDPOINT_URL_S3": server.url, "AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
                          "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip
    return bulla
