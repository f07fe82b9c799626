"""Checks AWS Signature Version 4 by computing it again with botocore, from what arrived."""

import calendar
import hashlib
import hmac
import re
import time

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
SKEW = 300  # seconds


class BadSignature(Exception):
    pass


def scope_of(request):
    """The parts of the Authorization header, or None."""
    return AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))


def required_headers(request):
    """What the services demand to be signed."""
    names = {"host", "x-amz-date"}
    return names | {n.lower() for n in request.headers if n.lower() in ("x-amz-target", "x-amz-security-token", "content-type")}


def check(request, scope, secret):
    """Raises BadSignature unless the request was signed by the secret."""
    signed = scope["signed"].split(";")
    stamp = request.headers.get("X-Amz-Date", "")
    if not re.fullmatch(r"\d{8}T\d{6}Z", stamp) or not stamp.startswith(scope["date"]):
        raise BadSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
    if abs(calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - time.time()) > SKEW:
        raise BadSignature(f"Signature not yet current or expired: {stamp}")
    missing = required_headers(request) - set(signed)
    if missing or signed != sorted(signed):
        raise BadSignature(f"'{min(missing, default='order')}' must be a 'SignedHeader' in the AWS Authorization.")
    content = request.headers.get("X-Amz-Content-SHA256")
    if content not in (None, hashlib.sha256(request.body).hexdigest()):
        raise BadSignature("The provided 'x-amz-content-sha256' header does not match what was computed.")
    if not hmac.compare_digest(compute(request, scope, secret, signed, stamp), scope["signature"]):
        raise BadSignature("The request signature we calculated does not match the signature you provided.")


def compute(request, scope, secret, signed, stamp):
    for name in signed:
        if request.headers.get_all(name) is None or len(request.headers.get_all(name)) != 1:
            raise BadSignature(f"the signed header {name} is not there once")
    headers = {name: request.headers[name] for name in signed}
    url = f"https://{request.headers['Host']}{request.path}"
    again = AWSRequest(method=request.method, url=url, headers=headers, data=request.body)
    again.context["timestamp"] = stamp
    signer = SigV4Auth(Credentials(scope["key"], secret), scope["service"], scope["region"])
    return signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
