"""Tokens to test with, each in a directory of its own: SoftHSM, NSS softokn, and a software TPM."""

import hashlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
from urllib.parse import quote

import pytest

LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")
MOCK = pathlib.Path(os.environ.get("BULLA", "/")).parents[1] / "tests" / "pkcs11_mock.so" if "BULLA" in os.environ else None
TOOL_TIMEOUT = 120  # seconds

PIN = "pin-Zaubernuss-4711"
WRONG_PIN = "pin-Quittenbaum-0815"
SO_PIN = "so-Mispelstrauch-99"

# What pkcs11-tool takes to make a key of each kind, and what bulla may use it for.
KEYS = {
    "rsa": ["--keypairgen", "--key-type", "rsa:2048", "--usage-decrypt"],
    "p256": ["--keypairgen", "--key-type", "EC:prime256v1", "--usage-derive"],
    "p384": ["--keypairgen", "--key-type", "EC:secp384r1", "--usage-derive"],
    "aes": ["--keygen", "--key-type", "AES:32"],
}
IDS = {"rsa": "a1", "p256": "a2", "p384": "a3", "aes": "a4"}
METHODS = {
    "rsa": "pkcs11-rsa-oaep-sha256",
    "p256": "pkcs11-p256-hpke",
    "p384": "pkcs11-p384-hpke",
    "aes": "pkcs11-aes-gcm",
}


def run(*args, env, **how):
    how = {"stdin": subprocess.DEVNULL, **how}
    done = subprocess.run([str(a) for a in args], capture_output=True, env=env, timeout=TOOL_TIMEOUT, **how)
    assert done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout.decode()


def libraries_by_name(*places):
    """The first of the places that is there; the last one if none is, so that what fails says which."""
    return next((p for p in places if p.exists()), places[-1])


class Token:
    """A token in a directory. A subclass says how it is made and reached."""

    kinds = ["rsa", "p256", "p384", "aes"]
    module = None
    arguments = ""  # for C_Initialize

    def __init__(self, directory, label="bulla lab"):
        self.directory, self.label, self.pin = directory, label, PIN
        directory.mkdir(parents=True)

    @property
    def env(self):
        """What the module itself needs in the environment."""
        return {}

    def mocked(self, faults="", log=None):
        """The environment in which the mock stands in front of the module."""
        env = {"MOCK_REAL": str(self.module), "MOCK_FAULTS": faults} | self.env
        env |= {"MOCK_LOG": str(log)} if log else {}
        return env | ({"MOCK_ARGS": self.arguments} if self.arguments else {})

    def tool(self, *args, login=True, faults=""):
        """pkcs11-tool, by way of the mock, which knows what NSS has to be told."""
        who = ["--login", "--pin", self.pin] if login else []
        env = {"PATH": os.environ["PATH"], **self.mocked(faults)}
        return run("pkcs11-tool", "--module", MOCK, "--token-label", self.label, *who, *args, env=env)

    def make(self, kind, label=None, *options, id=None):
        """Makes a key; one that is not the first of its kind has an id of its own."""
        id = id or (hashlib.sha256(label.encode()).hexdigest()[:8] if label else IDS[kind])
        self.tool(*KEYS[kind], "--label", label or kind, "--id", id, *options)

    def uri(self, name=None, mock=False, **more):
        """A key reference; more are attributes, a value None leaves one out."""
        path = {"token": self.label, "object": name, **more}
        query = {"module-path": str(MOCK if mock else self.module)}
        for attribute in ("module-path", "module-name", "pin-source", "pin-value"):
            key = attribute.replace("-", "_")
            if key in path:
                query[attribute] = path.pop(key)
        parts = ";".join(f"{k.replace('_', '-')}={quoted(v)}" for k, v in path.items() if v is not None)
        tail = "&".join(f"{k}={quote(str(v), safe='/:')}" for k, v in query.items() if v is not None)
        return f"pkcs11:{parts}" + (f"?{tail}" if tail else "")

    def copy(self, directory):
        """A token like this, in another directory."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.directory = directory
        shutil.copytree(self.directory, directory)
        twin.moved()
        return twin

    def moved(self):
        pass

    def stop(self):
        pass


def quoted(value):
    if isinstance(value, bytes):
        return "".join(f"%{b:02x}" for b in value)
    return quote(str(value), safe="")


class SoftHSM(Token):
    name = "softhsm"
    module = libraries_by_name(LIBRARIES / "softhsm/libsofthsm2.so", pathlib.Path("/usr/lib/softhsm/libsofthsm2.so"))
    module = pathlib.Path(os.environ.get("BULLA_SOFTHSM", module))  # another version

    def __init__(self, directory, label="bulla lab"):
        super().__init__(directory, label)
        (directory / "tokens").mkdir()
        self.moved()
        self.add_token(label)

    def add_token(self, label):
        """One more token, maybe of the same label."""
        self.util("--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", self.pin)

    def util(self, *args):
        return run("softhsm2-util", "--module", self.module, *args, env={"PATH": os.environ["PATH"], **self.env})

    def moved(self):
        settings = {"directories.tokendir": self.directory / "tokens", "objectstore.backend": "file", "log.level": "ERROR"}
        (self.directory / "softhsm2.conf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))

    @property
    def env(self):
        return {"SOFTHSM2_CONF": str(self.directory / "softhsm2.conf")}


class NSS(Token):
    name = "nss"
    module = LIBRARIES / "libsoftokn3.so"

    def __init__(self, directory, label="NSS Certificate DB"):
        super().__init__(directory, label)
        (directory / "pin").write_text(self.pin + "\n")
        run("certutil", "-N", "-d", f"sql:{directory}", "-f", directory / "pin", env={"PATH": os.environ["PATH"]})

    @property
    def arguments(self):
        return f"configdir='sql:{self.directory}' certPrefix='' keyPrefix='' secmod='secmod.db'"


class TPM(Token):
    """A TPM of software; it locks after a few wrong PINs."""

    name = "tpm"
    kinds = ["rsa"]
    module = LIBRARIES / "pkcs11/libtpm2_pkcs11.so"

    def __init__(self, directory, label="bulla lab"):
        super().__init__(directory, label)
        for name in ("state", "store"):
            (directory / name).mkdir()
        self.start()
        tool = ["pkcs11-tool", "--module", self.module]
        env = {"PATH": os.environ["PATH"], **self.env}
        run(*tool, "--slot-index", "0", "--init-token", "--label", label, "--so-pin", SO_PIN, env=env)
        run(*tool, "--token-label", label, "--init-pin", "--so-pin", SO_PIN, "--pin", self.pin, env=env)

    def start(self):
        for _ in range(10):
            self.port = two_free_ports()
            address = ["--server", f"type=tcp,port={self.port}", "--ctrl", f"type=tcp,port={self.port + 1}"]
            command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.directory}/state", *address]
            self.process = subprocess.Popen([*command, "--flags", "not-need-init,startup-clear"], stderr=subprocess.DEVNULL)
            if self.listens():
                return
            self.stop()
        raise OSError("swtpm does not start")

    def listens(self):
        for _ in range(200):
            if self.process.poll() is not None:
                return False
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port + 1)) == 0:
                    return True
            time.sleep(0.05)
        return False

    def stop(self):
        self.process.kill()
        self.process.wait()

    @property
    def env(self):
        return {
            "TPM2_PKCS11_STORE": str(self.directory / "store"),
            "TPM2_PKCS11_TCTI": f"swtpm:host=127.0.0.1,port={self.port}",
            "TPM2_PKCS11_LOG_LEVEL": "0",
            "TSS2_LOG": "all+none",
        }


def two_free_ports():
    """A port of the loopback that is free, and so is the next."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def need_tpm():
    missing = [name for name in ("swtpm", "pkcs11-tool") if not shutil.which(name)]
    missing += [] if TPM.module.exists() else [str(TPM.module)]
    if missing:
        pytest.skip("no software TPM on this machine: missing " + ", ".join(missing))
