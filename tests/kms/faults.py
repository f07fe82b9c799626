"""Ways for a server to fail: each takes the honest answer and the request, and gives another answer."""

import base64
import dataclasses
import json

from cloud import AwsError
from server import Answer, refusal


def error(name, message="", status=400):
    """A refusal of that name."""

    def fault(answer, request):
        return refusal(request, AwsError(name, message, status))

    return fault


throttle = error("ThrottlingException", "Rate exceeded")


def status(code, body=b"<html>not now</html>"):
    def fault(answer, request):
        return Answer(code, body, {"Content-Type": "text/html"})

    return fault


def members(**changes):
    """Members of the JSON answer changed; bytes in base64."""

    def fault(answer, request):
        return answer.json(**{k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in changes.items()})

    return fault


def without(name):
    def fault(answer, request):
        content = json.loads(answer.body)
        del content[name]
        return dataclasses.replace(answer, body=json.dumps(content).encode())

    return fault


def body(make):
    """Another body, made from the honest one."""

    def fault(answer, request):
        return dataclasses.replace(answer, body=make(answer.body))

    return fault


def stall(seconds):
    def fault(answer, request):
        return dataclasses.replace(answer, stall=seconds)

    return fault


def drip(seconds):
    def fault(answer, request):
        return dataclasses.replace(answer, drip=seconds)

    return fault


def cut(answer, request):
    return dataclasses.replace(answer, cut=len(answer.body) // 2)


def redirect(url):
    def fault(answer, request):
        return Answer(307, b"", {"Location": url})

    return fault


def headers(**more):
    def fault(answer, request):
        return dataclasses.replace(answer, headers=answer.headers | more)

    return fault


big = body(lambda honest: honest[:-1] + b', "Padding": "' + b"x" * 2**20 + b'"}')
many_headers = headers(**{f"X-Filler-{i}": "y" * 8000 for i in range(64)})
deep = body(lambda honest: honest[:-1] + b', "Deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
duplicate = body(lambda honest: b'{"KeyId": "arn:aws:kms:us-east-1:999999999999:key/other", ' + honest[1:])
not_json = body(lambda honest: b"<html>hello</html>")
empty = body(lambda honest: b"")
a_list = body(lambda honest: b"[" + honest + b"]")
zero_bytes = body(lambda honest: honest.replace(b'"arn:', b'"\\u0000arn:'))
latin = body(lambda honest: honest[:-1] + b', "Name": "\xff\xfe"}')
