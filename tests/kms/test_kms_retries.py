"""Retries: what may pass is tried again, a bounded number of times and a bounded time; what stays is not."""

import signal
import time

import pytest

import faults
from faults import cut, drip, error, stall, status, throttle
from kms_files import CONTENT, opened
from proxy import Proxy

PASSING = {
    "ThrottlingException": throttle,
    "Throttling": error("Throttling"),
    "RequestLimitExceeded": error("RequestLimitExceeded", status=503),
    "TooManyRequestsException": error("TooManyRequestsException", status=429),
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "504": status(504),
    "KMSInternalException": error("KMSInternalException", status=500),
    "DependencyTimeoutException": error("DependencyTimeoutException", status=503),
    "KeyUnavailableException": error("KeyUnavailableException", status=500),
    "half an answer": cut,
}
ATTEMPTS = 3


@pytest.fixture
def sealed(bulla, key):
    return bulla.seal(key.arn, CONTENT)


@pytest.mark.parametrize("what", PASSING)
def test_what_passes(bulla, aws, key, sealed, what):
    aws.fault("Decrypt", PASSING[what])
    assert opened(bulla, key, sealed=sealed).stdout == CONTENT
    assert aws.calls["Decrypt"] == 2


def test_sealing_too(bulla, aws, key):
    aws.fault("Encrypt", throttle, times=2)
    sealed = bulla.seal(key.arn, CONTENT)
    assert aws.calls["Encrypt"] == ATTEMPTS and opened(bulla, key, sealed=sealed).stdout == CONTENT


@pytest.mark.parametrize("what", ["ThrottlingException", "503", "KeyUnavailableException", "half an answer"])
def test_what_does_not_pass(bulla, aws, key, sealed, what):
    """Three attempts, status 6: a later run may do."""
    aws.fault("Decrypt", PASSING[what], times=99)
    done = opened(bulla, key, sealed=sealed, status=6)
    assert aws.calls["Decrypt"] == ATTEMPTS and done.stdout == b""
    assert (what if what[0].isupper() else "").encode() in done.stderr and key.arn.encode() in done.stderr


def test_a_batch_goes_on(bulla, aws, key):
    files = [bulla.seal(key.arn, b"%d" % n, name=str(n)) for n in range(3)]
    aws.fault("Decrypt", error("AccessDeniedException", "no"), times=1, after=1)
    bulla("decrypt", "-j", "1", "-k", key.arn, *files, status=3)
    assert [(bulla.work / str(n)).exists() for n in range(3)] == [True, False, True]


def test_a_place_that_cannot_be_reached_is_not_tried_for_each_file(bulla, serve, key):
    """One round of attempts, not one for each of ten thousand files."""
    files = [bulla.seal(key.arn, b"%d" % n, name=str(n)) for n in range(4)]
    wall = serve(Proxy)
    bulla("verify", "-k", key.arn, *files, env={"AWS_ENDPOINT_URL": "", "HTTPS_PROXY": wall.url}, status=3)
    assert len(wall.asked) == ATTEMPTS


def test_a_place_that_cannot_be_reached_is_tried_for_each_key(bulla, cloud, serve, key):
    """As docs/KMS.md says of regions."""
    other = cloud.key()
    files = [bulla.seal(key.arn, b"%d" % n, "-k", other.arn, name=str(n)) for n in range(2)]
    wall = serve(Proxy)
    bulla("verify", "-k", key.arn, "-k", other.arn, *files, env={"AWS_ENDPOINT_URL": "", "HTTPS_PROXY": wall.url}, status=3)
    assert len(wall.asked) == 2 * ATTEMPTS


def test_a_service_that_says_later_is_asked_for_the_next_file(bulla, aws, key):
    files = [bulla.seal(key.arn, b"%d" % n, name=str(n)) for n in range(3)]
    aws.fault("Decrypt", throttle, times=ATTEMPTS)
    bulla("decrypt", "-j", "1", "-k", key.arn, *files, status=3)
    assert [(bulla.work / str(n)).exists() for n in range(3)] == [False, True, True]


def test_a_new_connection_after_one_was_cut(bulla, aws, key):
    """An idle connection that the server closed is no failure."""
    files = [bulla.seal(key.arn, b"%d" % n, name=str(n)) for n in range(2)]
    aws.fault("Decrypt", faults.headers(Connection="close"))
    bulla("decrypt", "-k", key.arn, *files)
    assert aws.calls["Decrypt"] == 2


@pytest.mark.parametrize("fault", [stall(20), drip(0.1)], ids=["stall", "drip"])
def test_time_is_bounded(bulla, aws, key, sealed, fault):
    aws.fault("Decrypt", fault, times=99)
    start = time.monotonic()
    done = opened(bulla, key, sealed=sealed, options=["--kms-timeout", "2"], status=6)
    assert 1 < time.monotonic() - start < 15 and done.stdout == b""


def test_time_bounds_retries(bulla, aws, key, sealed):
    aws.fault("Decrypt", throttle, times=99)
    start = time.monotonic()
    opened(bulla, key, sealed=sealed, options=["--kms-timeout", "1"], status=6)
    assert time.monotonic() - start < 10 and aws.calls["Decrypt"] <= ATTEMPTS


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1e9", "99999999999999999999"])
def test_timeouts_that_are_none(bulla, aws, key, sealed, value):
    opened(bulla, key, sealed=sealed, options=["--kms-timeout", value], status=2)
    assert aws.calls["Decrypt"] == 0


def test_interrupted_while_waiting(bulla, aws, key, sealed):
    """Control-C ends a wait for KMS at once."""
    aws.fault("Decrypt", stall(20), times=9)
    process = bulla.start("decrypt", "-k", key.arn, "-o", "out", sealed)
    while aws.calls["Decrypt"] == 0:
        time.sleep(0.02)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    assert process.returncode in (130, -2) and time.monotonic() - start < 5
    assert not (bulla.work / "out").exists()
