"""Sign-on that bulla leaves to others: as botocore of today has it."""

import pytest

import other
from test_kms_credentials import refused
from test_kms_shared_files import FILED, REFUSED, Case, compare

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
