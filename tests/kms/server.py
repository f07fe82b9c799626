"""KMS and STS on loopback: checks each signature, answers from a Cloud, counts, and fails on order."""

import collections
import dataclasses
import email.message
import http.server
import json
import re
import socket
import threading
import time
import urllib.parse
import uuid
from xml.sax.saxutils import escape

import signature
from cloud import AwsError

NAMED_HOST = re.compile(r"(kms|sts)(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn|c2s\.ic\.gov|sc2s\.sgov\.gov)")
XML = "https://sts.amazonaws.com/doc/2011-06-15/"
UNSIGNED = {"AssumeRoleWithWebIdentity"}


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: email.message.Message
    body: bytes
    operation: str = ""
    service: str = ""
    region: str = ""
    principal: object = None
    content: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Answer:
    status: int
    body: bytes
    headers: dict
    cut: int | None = None  # send this many bytes of the body and hang up; less than 0: not even the status
    stall: float = 0  # seconds before anything is sent
    drip: float = 0  # seconds between the bytes of the body

    def json(self, **members):
        """The same with members of the JSON object changed."""
        return dataclasses.replace(self, body=json.dumps(json.loads(self.body) | members).encode())


class Listener:
    """An HTTP server in threads, with TLS if a context is given; subclasses answer requests."""

    def __init__(self, tls=None, host="127.0.0.1"):
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def setup(self):
                listener.connections += 1
                if tls is not None:
                    self.request.settimeout(20)
                    self.request = tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def handle_one_request(self):
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, self.headers, body)
                if listener.send(self, listener.answer(request)):
                    self.wfile.flush()
                else:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, address):
                """A client that hangs up, or does not trust us, is no error of the server's."""

            def server_bind(self):  # without the look-up of a name
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.socket.bind(self.server_address)
                self.server_address = self.socket.getsockname()
                self.server_name, self.server_port = self.server_address[:2]

        Threads.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.closing = threading.Event()
        self.http = Threads((host, 0), Handler)
        self.port = self.http.server_address[1]
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{name}:{self.port}"
        self.requests, self.connections = [], 0
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def send(self, handler, answer):
        """False if the connection is to be closed."""
        if answer.stall and self.closing.wait(answer.stall):
            return False
        if answer.cut is not None and answer.cut < 0:
            return False
        headers = {"Content-Length": str(len(answer.body))} | answer.headers
        head = f"HTTP/1.1 {answer.status} Whatever\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        body = answer.body if answer.cut is None else answer.body[: answer.cut]
        if not answer.drip:  # in one piece: the client acknowledges the first of two only after a while
            handler.wfile.write(head.encode("latin-1") + body)
        else:
            handler.wfile.write(head.encode("latin-1"))
        for i in range(len(body) if answer.drip else 0):
            handler.wfile.write(body[i : i + 1])
            if self.closing.wait(answer.drip):
                return False
        return answer.cut is None and "close" not in headers.get("Connection", "").lower()

    def answer(self, request):
        raise NotImplementedError


class Server(Listener):
    """The services. self.calls counts the operations asked for, self.requests keeps the requests.

    self.broken gathers what a good client never does; the fixture demands that it stays empty."""

    def __init__(self, cloud, tls=None, **where):
        self.cloud, self.lock = cloud, threading.Lock()
        self.calls, self.faults, self.broken = collections.Counter(), [], []
        self.path = "/"  # where it is
        super().__init__(tls, **where)

    def fault(self, operation, fault, times=1, after=0, region=None):
        """The next answers of an operation go through fault(answer, request); 'after' some honest ones."""
        self.faults.append([operation, fault, times, after, region])

    def last(self, operation):
        """The content of the last request of an operation."""
        return next(r.content for r in reversed(self.requests) if r.operation == operation)

    def answer(self, request):
        with self.lock:
            try:
                answer = self.honest(request)
            except AwsError as error:
                answer = refusal(request, error)
            return self.apply_faults(answer, request)

    def apply_faults(self, answer, request):
        for row in self.faults:
            operation, fault, times, after, region = row
            if operation not in (request.operation, "*") or region not in (None, request.region):
                continue
            if after > 0:
                row[3] -= 1
            elif times > 0:
                row[2] -= 1
                return fault(answer, request)
        return answer

    def honest(self, request):
        self.read(request)
        self.calls[request.operation] += 1
        self.requests.append(request)
        self.examine(request)
        if request.operation not in UNSIGNED:
            self.authenticate(request)
        operation = getattr(self.cloud, request.operation, None)
        if operation is None or not request.operation[0].isupper():
            raise AwsError("UnknownOperationException")
        if request.service == "sts":
            return sts_answer(request.operation, operation(request.principal, request.content))
        try:
            return kms_answer(200, operation(request.principal, request.region, request.content))
        except KeyError as missing:
            raise AwsError("ValidationException", f"{missing} must not be null") from None

    def read(self, request):
        """Finds out what is asked for."""
        if request.method != "POST" or request.path != self.path:
            self.broken.append(f"{request.method} {request.path}")
            raise AwsError("UnknownOperationException", None, 404)
        kind = request.headers.get("Content-Type", "")
        target = request.headers.get("X-Amz-Target", "")
        if target.startswith("TrentService."):
            request.service, request.operation = "kms", target.split(".", 1)[1]
            if kind != "application/x-amz-json-1.1":
                raise AwsError("UnknownOperationException", f"content type {kind}", 404)
            try:
                request.content = json.loads(request.body, object_pairs_hook=unique)
            except ValueError:
                raise AwsError("SerializationException") from None
        elif kind.startswith("application/x-www-form-urlencoded"):
            query = urllib.parse.parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)
            request.content = {name: values[0] for name, values in query.items()}
            request.service, request.operation = "sts", request.content.pop("Action", "")
            if request.content.pop("Version", "") != "2011-06-15":
                raise AwsError("InvalidAction", "Could not find operation for version")
        else:
            raise AwsError("UnknownOperationException", f"content type {kind}", 404)

    def examine(self, request):
        """What is allowed, and yet a client should not do."""
        if request.operation == "Decrypt" and "KeyId" not in request.content:
            self.broken.append("Decrypt without a KeyId")
        if request.operation == "ReEncrypt" and "SourceKeyId" not in request.content:
            self.broken.append("ReEncrypt without a SourceKeyId")
        if request.headers.get("Expect"):
            self.broken.append("Expect")
        if request.operation in UNSIGNED and request.headers.get("Authorization"):
            self.broken.append(f"{request.operation} is signed")

    def authenticate(self, request):
        scope = signature.scope_of(request)
        if scope is None:
            raise AwsError("MissingAuthenticationTokenException", "Request is missing Authentication Token")
        request.region = scope["region"]
        named = NAMED_HOST.fullmatch(request.headers["Host"].split(":")[0])
        if scope["service"] != request.service or (named and named.groups() != (request.service, request.region)):
            raise AwsError("InvalidSignatureException", "Credential should be scoped to a valid region and service.")
        principal = self.cloud.principals.get(scope["key"])
        if principal is None or request.headers.get("X-Amz-Security-Token") != principal.token:
            name = "UnrecognizedClientException" if request.service == "kms" else "InvalidClientTokenId"
            raise AwsError(name, "The security token included in the request is invalid.", 400 if request.service == "kms" else 403)
        try:
            signature.check(request, scope, principal.secret)
        except signature.BadSignature as why:
            name = "InvalidSignatureException" if request.service == "kms" else "SignatureDoesNotMatch"
            raise AwsError(name, str(why), 400 if request.service == "kms" else 403) from None
        if principal.expired_once or (principal.expires is not None and principal.expires < time.time()):
            principal.expired_once = False
            name = "ExpiredTokenException" if request.service == "kms" else "ExpiredToken"
            raise AwsError(name, "The security token included in the request is expired", 400 if request.service == "kms" else 403)
        request.principal = principal


def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a member is given twice")
    return dict(pairs)


def kms_answer(status, content, **headers):
    given = {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Type": "application/x-amz-json-1.1", "Cache-Control": "no-cache"}
    return Answer(status, json.dumps(content).encode(), given | headers)


def to_xml(value):
    if isinstance(value, dict):
        return "".join(f"<{name}>{to_xml(inner)}</{name}>\n" for name, inner in value.items())
    return escape(str(value))


def sts_answer(operation, result):
    request_id = str(uuid.uuid4())
    inner = to_xml({f"{operation}Result": result, "ResponseMetadata": {"RequestId": request_id}})
    body = f'<{operation}Response xmlns="{XML}">\n{inner}</{operation}Response>\n'
    return Answer(200, body.encode(), {"x-amzn-RequestId": request_id, "Content-Type": "text/xml"})


def refusal(request, error):
    if request.service != "sts":
        content = {"__type": error.name} | ({"message": error.message} if error.message is not None else {})
        return kms_answer(error.status, content)
    request_id = str(uuid.uuid4())
    told = {"Error": {"Type": "Sender", "Code": error.name, "Message": error.message or ""}, "RequestId": request_id}
    body = f'<ErrorResponse xmlns="{XML}">\n{to_xml(told)}</ErrorResponse>\n'
    return Answer(error.status, body.encode(), {"x-amzn-RequestId": request_id, "Content-Type": "text/xml"})
