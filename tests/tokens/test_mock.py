"""The mock lies as it is told, so that what is seen behind it means something; and each token is what it seems."""

import subprocess

import pytest

from tokens import MOCK, PIN, WRONG_PIN


def tool(token, *args, faults="", log=None, pin=PIN, timeout=20):
    command = ["pkcs11-tool", "--module", MOCK, "--token-label", token.label, "--login", "--pin", pin, *args]
    env = {"PATH": "/usr/bin", **token.mocked(faults, log)}
    return subprocess.run(command, capture_output=True, env=env, timeout=timeout)


FAULTS = {
    "C_Initialize:1:rv=0x30": b"CKR_DEVICE_ERROR",
    "C_Login:1:rv=0xa4": b"CKR_PIN_LOCKED",
    "C_Login:1+:after=0x32": b"CKR_DEVICE_REMOVED",
    "C_GetSlotList:1+:length=0": b"No slot",
    "C_FindObjects:1+:rv=0xb3": b"CKR_SESSION_HANDLE_INVALID",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_mock_lies(softhsm, fault):
    assert tool(softhsm, "-O").returncode == 0
    done = tool(softhsm, "-O", faults=fault)
    assert FAULTS[fault] in done.stdout + done.stderr
    later = fault.replace(":1:", ":999:").replace(":1+:", ":999+:")
    assert FAULTS[fault] not in tool(softhsm, "-O", faults=later).stderr


def test_mock_hangs(softhsm):
    with pytest.raises(subprocess.TimeoutExpired):
        tool(softhsm, "-O", faults="C_Login:1:hang", timeout=1)


def test_mock_counts(softhsm, tmp_path):
    tool(softhsm, "-O", log=tmp_path / "log")
    names = [line.split()[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert names.count("C_Login") == 1 and names[0] == "C_GetFunctionList"


def test_mock_takes_no_fault_that_it_does_not_know(softhsm):
    assert tool(softhsm, "-O", faults="C_Login:1:explode").returncode < 0


@pytest.mark.parametrize("name", ["softhsm", "nss", "tpm"])
def test_tokens_hold_their_keys(request, name):
    token = request.getfixturevalue(name)
    listed = tool(token, "-O").stdout.decode()
    assert all(f"label:      {kind}\n" in listed for kind in token.kinds)
    if name != "tpm":  # which would count it
        assert b"CKR_PIN_INCORRECT" in tool(token, "-O", pin=WRONG_PIN).stderr
