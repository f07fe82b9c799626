"""moto, the usual stand-in for AWS: found by BULLA_MOTO, or installed beside the build from PyPI."""

import fcntl
import json
import os
import pathlib
import socket
import ssl
import subprocess
import time
import urllib.request

import botocore.config
import botocore.session

PACKAGES = ["moto==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"]
ADMIN = 1_000_000  # calls that are not checked, for the setup


def install():
    """The program moto_server, or None and why not. Several runs may want it at once."""
    if os.environ.get("BULLA_MOTO"):
        return os.environ["BULLA_MOTO"], None
    build = pathlib.Path(os.environ["BULLA"]).parents[1]
    if not (build / "build.ninja").exists():
        return None, "no build directory to install moto in, and no BULLA_MOTO"
    directory = build / "moto"
    directory.mkdir(exist_ok=True)
    program, done = directory / "venv/bin/moto_server", directory / "installed"
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.read_text() == str(PACKAGES):
            return program, None
        for command in (["/usr/bin/python3", "-m", "venv", "--clear", directory / "venv"],
                        [directory / "venv/bin/pip", "install", "-q", "--no-compile", "--retries", "1", "--timeout", "20", *PACKAGES]):  # fmt: skip
            try:
                made = subprocess.run(command, capture_output=True, timeout=250)
            except (OSError, subprocess.TimeoutExpired) as why:
                return None, f"moto cannot be installed: {why}"
            if made.returncode != 0:
                return None, f"moto cannot be installed: {(made.stderr or made.stdout).decode()[-300:].strip()}"
        done.write_text(str(PACKAGES))
    return program, None


class Moto:
    """A running moto with TLS, which checks signatures and permissions after lock()."""

    def __init__(self, program, tls, authority):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url, self.authority = f"https://127.0.0.1:{port}", authority
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS", "PYTHON", "MOTO"))}
        environment["INITIAL_NO_AUTH_ACTION_COUNT"] = str(ADMIN)
        command = [program, "-H", "127.0.0.1", "-p", str(port), "--ssl-cert", tls.pair, "--ssl-key", tls.pair]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        trusted = ssl.create_default_context(cafile=str(authority.bundle))
        self.open = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)).open
        self.wait()

    def wait(self):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return self.open(f"{self.url}/moto-api/", timeout=5).close()
            except OSError:
                time.sleep(0.1)
        self.close()
        raise RuntimeError("moto does not start")

    def lock(self):
        """From now on it checks who calls."""
        body = urllib.request.Request(f"{self.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST")
        self.open(body, timeout=10).close()

    def client(self, service, region="us-east-1"):
        config = botocore.config.Config(retries={"max_attempts": 0}, proxies={})
        return botocore.session.Session().create_client(service, region, endpoint_url=self.url, verify=str(self.authority.bundle), config=config,
                                                        aws_access_key_id="AKIAADMIN", aws_secret_access_key="admin")

    def user(self, name, *actions):
        """Credentials of a user who may do this, as environment."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy(*actions))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"], "AWS_SESSION_TOKEN": ""}

    def role(self, name, *actions):
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(*actions))
        return made["Role"]["Arn"]

    def close(self):
        self.process.kill()
        self.process.wait()


def policy(*actions):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})
