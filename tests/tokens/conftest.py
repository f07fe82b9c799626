"""What every test has, and tokens: made once, and copied for each test."""

import pytest

from program import SANITIZED, Bulla
from tokens import MOCK, NSS, PIN, SO_PIN, TPM, WRONG_PIN, SoftHSM, need_tpm


class TokenBulla(Bulla):
    """Bulla at a token: no PIN may be printed either."""

    pins = [PIN, WRONG_PIN, SO_PIN]

    def __init__(self, tmp):
        super().__init__(tmp)
        if not MOCK.exists():
            pytest.exit(f"{MOCK} is not there: this bulla was built without PKCS#11", returncode=2)
        for name, pin in (("pin", PIN), ("wrong", WRONG_PIN)):
            (self.home / name).write_text(pin + "\n")
        self.environment["BULLA_PIN_FILE"] = str(self.home / "pin")

    def check(self, *outputs):
        super().check(*outputs)
        for output in outputs:
            assert not any(pin.encode() in output for pin in self.pins), "a PIN was printed"

    def at(self, token):
        """From now on the module of this token finds it."""
        self.environment |= token.env | ({"BULLA_PKCS11_INIT_ARGS": token.arguments} if token.arguments else {})
        return self


@pytest.fixture
def bulla(tmp_path):
    program = TokenBulla(tmp_path)
    yield program
    program.stop()


class Templates:
    """One token of each type with a key of each kind, made when first asked for."""

    def __init__(self, directory):
        self.directory, self.made = directory, {}

    def get(self, cls):
        if cls.name not in self.made:
            token = cls(self.directory / cls.name)
            self.made[cls.name] = token
            for kind in cls.kinds:
                token.make(kind)
        return self.made[cls.name]

    def stop(self):
        for token in self.made.values():
            token.stop()


@pytest.fixture(scope="session")
def templates(tmp_path_factory):
    made = Templates(tmp_path_factory.mktemp("templates"))
    yield made
    made.stop()


@pytest.fixture
def softhsm(templates, tmp_path):
    return templates.get(SoftHSM).copy(tmp_path / "token")


@pytest.fixture
def nss(templates, tmp_path):
    return templates.get(NSS).copy(tmp_path / "token")


@pytest.fixture
def tpm(templates):
    """The one TPM of all tests: what would lock it takes one of its own."""
    need_tpm()
    return templates.get(TPM)


CASES = [(cls, kind) for cls in (SoftHSM, NSS, TPM) for kind in cls.kinds]
CASES = [(SoftHSM, "rsa"), (SoftHSM, "p256"), (NSS, "p384"), (NSS, "aes"), (TPM, "rsa")] if SANITIZED else CASES


@pytest.fixture(params=CASES, ids=[f"{cls.name}-{kind}" for cls, kind in CASES])
def case(request, bulla):
    """A token of each type, a kind of key, and bulla at that token."""
    cls, kind = request.param
    token = request.getfixturevalue(cls.name)
    bulla.at(token)
    return token, kind
