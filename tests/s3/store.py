"""S3 on loopback: one bucket that checks each signature, heeds conditions, counts, and fails on order."""

import base64
import collections
import dataclasses
import datetime
import email.utils
import hashlib
import hmac
import re
import threading
import time
import urllib.parse
import uuid
from xml.sax.saxutils import escape

import signature
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from server import Answer, Listener

BUCKET, REGION = "backups", "eu-west-1"
KEY_ID, SECRET = "AKIDEXAMPLES3", "s3cr3tS3cr3tS3cr3tS3cr3tS3cr3t"
PART_MIN = 5 << 20
ONCE = ("ownership", "locking", "tagging")  # what a rewrap asks once a run
KEPT = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires", "x-amz-storage-class",
        "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date",
        "x-amz-object-lock-legal-hold", "x-amz-acl")  # fmt: skip


def variables(url):
    """What sends a client here."""
    return {"AWS_ENDPOINT_URL_S3": url, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip


class Refused(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


@dataclasses.dataclass
class Object:
    body: bytes
    headers: dict = dataclasses.field(default_factory=dict)
    tags: str = ""
    etag: str = ""
    version: str = "null"
    marker: bool = False
    modified: str = "2026-11-28T10:00:00.000Z"
    restored: str | None = None  # of an archived one: until when a copy can be read; "" = that is on its way

    @property
    def locked(self):
        until = self.headers.get("x-amz-object-lock-retain-until-date", "")
        return self.headers.get("x-amz-object-lock-legal-hold") == "ON" or until > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def __post_init__(self):
        self.etag = self.etag or tag_of(self.body)


@dataclasses.dataclass
class Upload:
    key: str
    headers: dict
    tags: str
    parts: dict = dataclasses.field(default_factory=dict)
    begun: str = "2026-11-28T10:00:00.000Z"


class Sparse:
    """A body that ends in zeros, which take no memory; enough of bytes for what the store does with one."""

    def __init__(self, head, size):
        self.head, self.size = head, size

    def __len__(self):
        return self.size

    def __getitem__(self, part):
        first, last = part.start, min(part.stop, self.size)
        if last - first > PART_MIN * 2:
            return Sparse(self.head[first:last], last - first)
        return self.head[first:last].ljust(last - first, b"\0")


def joined(parts):
    if all(isinstance(part, bytes) for part in parts):
        return b"".join(parts)
    head, size = b"", 0
    for part in parts:
        content = part if isinstance(part, bytes) else part.head
        head = head.ljust(size, b"\0") + content if content else head
        size += len(part)
    return Sparse(head, size)


def tag_of(part):
    return f'"{hashlib.md5(part if isinstance(part, bytes) else part.head + str(len(part)).encode()).hexdigest()}"'


def crc64nvme(body):
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x9A6C9329AC4BC9B5 if value & 1 else 0)
        table.append(value)
    crc = 2**64 - 1
    for byte in body:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 2**64 - 1


assert crc64nvme(b"123456789") == 0xAE8B14860A799888


def kept(headers):
    return {k.lower(): v for k, v in headers.items() if k.lower() in KEPT or k.lower().startswith("x-amz-meta-")}


def document(root, text):
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{text}</{root}>'.encode()


def kept_alive(answer):
    """As S3 does it while it puts a large object together: blanks after the first line."""
    return answer.replace(b"?>\n", b"?>\n" + b" " * 20, 1)


def error_answer(code, status, message=""):
    return Answer(status, document("Error", f"<Code>{code}</Code><Message>{escape(message)}</Message>"), {"Content-Type": "application/xml"})


class Store(Listener):
    """self.objects is what the bucket holds, self.old what it keeps of what was replaced (new to old, with marks of removal),
    self.uploads what is on its way, self.asked the operations in their order, but for those that find out if conditions are heeded:
    self.probes."""

    def __init__(self, region=REGION, heeds=True, encodes=True, page=1000, tls=None, bucket=BUCKET):
        self.objects, self.uploads, self.asked, self.probes, self.old = {}, {}, [], [], collections.defaultdict(list)
        self.ahead = 0  # seconds, of the clock
        self.payer = False  # whoever asks must pay
        self.sent = []  # (part number, body) of each part, also of those that were not taken
        self.lock, self.faults = threading.RLock(), []
        self.region, self.heeds, self.encodes, self.page = region, heeds, encodes, page
        self.before = lambda operation, key: None
        self.request_id = lambda: uuid.uuid4().hex[:16].upper()
        self.owner = "BucketOwnerEnforced"
        self.listed = 0  # so many objects are in a list, which are nowhere
        self.versioned = self.sums = False  # old versions are kept, and checksums
        self.locks = False  # objects can be locked
        self.shows_locks = True  # where one is read, and not by HEAD alone
        self.allowed = None  # these operations alone; None = all
        self.moved = collections.Counter()  # bytes up and down
        self.bucket, self.paths = bucket, []
        self.source = bucket + "/"  # what a copy names before the key
        super().__init__(tls)

    def put(self, key, body, headers=None, **more):
        self.place(key, Object(body, {"content-type": "binary/octet-stream"} | (headers or {}), **more))

    def place(self, key, made):
        """Makes it what the key has; None removes that. A bucket with versions keeps what was before."""
        before = self.objects.pop(key, None)
        if self.versioned:
            if before:
                self.old[key].insert(0, before)
            made = made or Object(b"", marker=True)
            made.version = uuid.uuid4().hex
        if made and made.marker:
            self.old[key].insert(0, made)
        elif made:
            self.objects[key] = made

    def all_of(self, key):
        return ([self.objects[key]] if key in self.objects else []) + self.old.get(key, [])

    def find(self, request, key):
        version = request.query.get("versionId")
        found = [o for o in self.all_of(key) if o.version == version and not o.marker] if version else [self.objects[key]] if key in self.objects else []
        if not found and not self.may("list"):
            raise Refused(403, "AccessDenied")
        if not found:
            raise Refused(404, "NoSuchVersion" if version else "NoSuchKey")
        return found[0]

    def fault(self, operation, fault, times=1, after=0):
        """The next answers of an operation go through fault(answer), 'after' some honest ones. With fault.instead, nothing was done."""
        self.faults.append([operation, fault, times, after])

    def take_fault(self, operation):
        for row in self.faults:
            if row[0] == operation and row[3] > 0:
                row[3] -= 1
            elif row[0] == operation and row[2] > 0:
                row[2] -= 1
                return row[1]
        return None

    def count(self, *operations):
        return sum(what in operations for what, key in self.asked) if operations else len(self.asked)

    def answer(self, request):
        with self.lock:
            operation, key = self.name(request)
            probe = ".probe-" in key
            (self.probes if probe else self.asked).append((operation, key))
            if operation == "part" and not probe:
                self.sent.append((int(request.query["partNumber"]), request.body))
            self.before(operation, key)
            fault = None if probe else self.take_fault(operation)
            try:
                self.check(request)
                if self.allowed is not None and operation not in self.allowed:
                    raise Refused(403, "AccessDenied")
                answer = None if getattr(fault, "instead", False) else getattr(self, operation)(request, key)
            except Refused as e:
                answer = error_answer(e.code, e.status, e.message)
                if e.code == "AuthorizationHeaderMalformed":
                    answer.headers["x-amz-bucket-region"] = self.region
            self.moved["up"] += len(request.body)
            answer = fault(answer) if fault else answer
            if request.method == "HEAD":
                answer = dataclasses.replace(answer, body=b"")
            answer.headers.setdefault("Date", email.utils.formatdate(time.time() + self.ahead, usegmt=True))
            answer.headers["x-amz-request-id"] = self.request_id()
            self.moved["down"] += len(answer.body)
            return answer

    def name(self, request):
        path, _, query = request.path.partition("?")
        request.query = {k: v for k, v in urllib.parse.parse_qsl(query, keep_blank_values=True)}
        self.paths.append(path)
        in_host = self.bucket + path if request.headers["Host"].startswith(self.bucket + ".") else path[1:]
        bucket, _, key = urllib.parse.unquote(in_host).partition("/")
        request.bucket = bucket
        q = request.query
        table = {
            "GET": "ownership" if "ownershipControls" in q else "locking" if "object-lock" in q else "retention" if "retention" in q else "hold" if "legal-hold" in q else "versions" if "versions" in q else "uploading" if "uploads" in q else "list" if not key else "tagging" if "tagging" in q else "get_version" if "versionId" in q else "get",
            "PUT": ("copy" if "x-amz-copy-source" in request.headers else "part") if "uploadId" in q else "write",
            "POST": "create" if "uploads" in q else "complete",
            "HEAD": "head",
            "DELETE": "abort" if "uploadId" in q else "delete_version" if "versionId" in q else "delete",
        }
        return table[request.method], key

    def check(self, request):
        scope = signature.scope_of(request)
        if scope is None or scope["service"] != "s3" or scope["key"] != KEY_ID:
            raise Refused(403, "InvalidAccessKeyId")
        if scope["region"] != self.region:
            raise Refused(400, "AuthorizationHeaderMalformed", f"the region is wrong; expecting '{self.region}'")
        signed = scope["signed"].split(";")
        content = request.headers["x-amz-content-sha256"]
        date = datetime.datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if abs(date.timestamp() - time.time() - self.ahead) > 900:
            raise Refused(403, "RequestTimeTooSkewed")
        if self.payer and request.headers.get("x-amz-request-payer") != "requester":
            raise Refused(403, "AccessDenied")
        present = {n.lower() for n in request.headers if n.lower().startswith("x-amz-")} | {"host"}
        if present - set(signed) or content != hashlib.sha256(request.body).hexdigest():
            raise Refused(403, "SignatureDoesNotMatch")
        again = AWSRequest(method=request.method, url=f"https://{request.headers['Host']}{request.path}", data=request.body,
                           headers={name: request.headers[name] for name in signed})  # fmt: skip
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        signer = S3SigV4Auth(Credentials(KEY_ID, SECRET), "s3", scope["region"])
        if not hmac.compare_digest(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again), scope["signature"]):
            raise Refused(403, "SignatureDoesNotMatch")
        if request.bucket != self.bucket:
            raise Refused(404, "NoSuchBucket")
        if request.method == "PUT" and "x-amz-copy-source" not in request.headers:
            if request.headers["Content-MD5"] != base64.b64encode(hashlib.md5(request.body).digest()).decode():
                raise Refused(400, "BadDigest")

    def conditions(self, request, key):
        if not self.heeds:
            return
        there = self.objects.get(key)
        if request.headers.get("If-None-Match") == "*" and there:
            raise Refused(412, "PreconditionFailed")
        if "If-Match" in request.headers:
            if not there:
                raise Refused(404, "NoSuchKey")
            if request.headers["If-Match"] != there.etag:
                raise Refused(412, "PreconditionFailed")

    def get(self, request, key):
        o = self.find(request, key)
        if o.headers.get("x-amz-storage-class") in ("GLACIER", "DEEP_ARCHIVE") and not o.restored:
            raise Refused(403, "InvalidObjectState")
        if "If-Match" in request.headers and request.headers["If-Match"] != o.etag:
            raise Refused(412, "PreconditionFailed")
        headers = o.headers | {"ETag": o.etag, "Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT"}
        if not self.may("retention") or not self.shows_locks:
            headers = {k: v for k, v in headers.items() if k not in ("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date")}
        if not self.may("hold") or not self.shows_locks:
            headers.pop("x-amz-object-lock-legal-hold", None)
        if o.tags and self.may("tagging"):
            headers["x-amz-tagging-count"] = str(len(o.tags.split("&")))
        if self.versioned:
            headers["x-amz-version-id"] = o.version
        first, last = (int(n) for n in re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["Range"]).groups())
        if first >= len(o.body):
            raise Refused(416, "InvalidRange")
        part = o.body[first : last + 1]
        return Answer(206, part, headers | {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(o.body)}"})

    get_version = get

    def head(self, request, key):
        o = self.find(request, key)
        if request.headers.get("If-Match", o.etag) != o.etag:
            raise Refused(412, "PreconditionFailed")
        headers = o.headers | {"ETag": o.etag, "Content-Length": str(len(o.body))}
        if self.sums and request.headers.get("x-amz-checksum-mode") == "ENABLED":
            headers |= {"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-crc64nvme": base64.b64encode(crc64nvme(o.body).to_bytes(8)).decode()}
        return Answer(200, b"", headers)

    def may(self, operation):
        """Whether whoever asks would be let to; what one may not ask for is not in other answers either."""
        return self.allowed is None or operation in self.allowed

    def locking(self, request, key):
        if not self.locks:
            raise Refused(404, "ObjectLockConfigurationNotFoundError")
        return Answer(200, document("ObjectLockConfiguration", "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"), {})

    def retention(self, request, key):
        headers = self.find(request, key).headers
        if "x-amz-object-lock-mode" not in headers:
            raise Refused(404, "NoSuchObjectLockConfiguration")
        return Answer(200, document("Retention", f"<Mode>{headers['x-amz-object-lock-mode']}</Mode>"), {})

    def hold(self, request, key):
        if "x-amz-object-lock-legal-hold" not in self.find(request, key).headers:
            raise Refused(404, "NoSuchObjectLockConfiguration")
        return Answer(200, document("LegalHold", "<Status>ON</Status>"), {})

    def check_lock(self, request):
        until = request.headers.get("x-amz-object-lock-retain-until-date")
        if until and until <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.ahead)):
            raise Refused(400, "InvalidArgument", "The retain until date must be in the future!")

    def tagging(self, request, key):
        pairs = [pair.split("=") for pair in self.objects[key].tags.split("&") if pair]
        text = "".join(f"<Tag><Key>{escape(urllib.parse.unquote(k))}</Key><Value>{escape(urllib.parse.unquote(v))}</Value></Tag>" for k, v in pairs)
        return Answer(200, document("Tagging", f"<TagSet>{text}</TagSet>"), {})

    def write(self, request, key):
        self.conditions(request, key)
        self.check_lock(request)
        self.place(key, Object(request.body, kept(request.headers), request.headers.get("x-amz-tagging", "")))
        return Answer(200, b"", {"ETag": self.objects[key].etag} | self.version_of(key))

    def version_of(self, key):
        return {"x-amz-version-id": self.objects[key].version} if self.versioned else {}

    def delete(self, request, key):
        self.conditions(request, key)
        self.place(key, None)
        return Answer(204, b"", {})

    def delete_version(self, request, key):
        o = next((o for o in self.all_of(key) if o.version == request.query["versionId"]), None)
        if o and o.locked:
            raise Refused(403, "AccessDenied", "Access Denied because object protected by object lock.")
        if o in self.old.get(key, []):
            self.old[key].remove(o)
        elif o:
            del self.objects[key]
        return Answer(204, b"", {})

    def create(self, request, key):
        self.check_lock(request)
        name = uuid.uuid4().hex + "+/=&"
        self.uploads[name] = Upload(key, kept(request.headers), request.headers.get("x-amz-tagging", ""))
        return Answer(200, document("InitiateMultipartUploadResult", f"<UploadId>{escape(name)}</UploadId>"), {})

    def upload(self, request, key):
        upload = self.uploads.get(request.query["uploadId"])
        if upload is None or upload.key != key:
            raise Refused(404, "NoSuchUpload")
        return upload

    def part(self, request, key):
        etag = f'"{hashlib.md5(request.body).hexdigest()}"'
        self.upload(request, key).parts[int(request.query["partNumber"])] = (etag, request.body)
        return Answer(200, b"", {"ETag": etag})

    def copy(self, request, key):
        upload, source = self.upload(request, key), urllib.parse.unquote(request.headers["x-amz-copy-source"])
        if not source.startswith(self.source):
            raise Refused(400, "InvalidArgument")
        o = self.objects[source.removeprefix(self.source)]
        if request.headers["x-amz-copy-source-if-match"] != o.etag:
            raise Refused(412, "PreconditionFailed")
        first, last = (int(n) for n in re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["x-amz-copy-source-range"]).groups())
        if last >= len(o.body):
            raise Refused(400, "InvalidArgument")
        part = o.body[first : last + 1]
        etag = tag_of(part)
        upload.parts[int(request.query["partNumber"])] = (etag, part)
        return Answer(200, document("CopyPartResult", f"<ETag>{escape(etag)}</ETag>"), {})

    def complete(self, request, key):
        upload = self.upload(request, key)
        listed = re.findall(r"<Part><PartNumber>(\d+)</PartNumber><ETag>(.*?)</ETag></Part>", request.body.decode())
        parts = [upload.parts[int(n)] for n, _ in listed]
        if [etag.replace('"', "&#34;") for etag, _ in parts] != [etag for _, etag in listed] or not parts:
            raise Refused(400, "InvalidPart")
        if any(len(body) < PART_MIN for _, body in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        whole = joined([body for _, body in parts])
        if request.headers.get("x-amz-mp-object-size") != str(len(whole)):
            raise Refused(400, "InvalidRequest")
        self.conditions(request, key)
        etag = f'"{hashlib.md5(b"".join(bytes.fromhex(e.strip(chr(34))) for e, _ in parts)).hexdigest()}-{len(parts)}"'
        self.place(key, Object(whole, upload.headers, upload.tags, etag))
        del self.uploads[request.query["uploadId"]]
        return Answer(200, kept_alive(document("CompleteMultipartUploadResult", f"<ETag>{escape(etag)}</ETag>")), self.version_of(key))

    def abort(self, request, key):
        self.upload(request, key)
        del self.uploads[request.query["uploadId"]]
        return Answer(204, b"", {})

    def ownership(self, request, key):
        if self.owner is None:
            raise Refused(404, "OwnershipControlsNotFoundError")
        return Answer(200, document("OwnershipControls", f"<Rule><ObjectOwnership>{self.owner}</ObjectOwnership></Rule>"), {})

    def written(self, name):
        return urllib.parse.quote(name, safe="/") if self.encodes else escape(name)

    def list(self, request, key):
        q = request.query
        if self.listed:
            return self.list_generated(q)
        names = sorted((k for k in self.objects if k.startswith(q["prefix"])), key=lambda k: k.encode())
        start = int(q.get("continuation-token", "token-0").removeprefix("token-"))
        shown, more = names[start : start + self.page], start + self.page < len(names)

        def entry(name):
            o = self.objects[name]
            return (f"<Contents><Key>{self.written(name)}</Key><LastModified>{o.modified}</LastModified><ETag>{escape(o.etag)}</ETag>"
                    f"<Size>{len(o.body)}</Size><StorageClass>{o.headers.get('x-amz-storage-class', 'STANDARD')}</StorageClass>{self.restored(request, o)}</Contents>")  # fmt: skip

        text = "".join(entry(name) for name in shown) + f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        text += f"<NextContinuationToken>token-{start + self.page}</NextContinuationToken>" if more else ""
        text += "<EncodingType>url</EncodingType>" if self.encodes else ""
        return Answer(200, document("ListBucketResult", text), {})

    def restored(self, request, o):
        if o.restored is None or request.headers.get("x-amz-optional-object-attributes") != "RestoreStatus":
            return ""
        until = f"<RestoreExpiryDate>{o.restored}</RestoreExpiryDate>" if o.restored else ""
        return f"<RestoreStatus><IsRestoreInProgress>{str(not o.restored).lower()}</IsRestoreInProgress>{until}</RestoreStatus>"

    def list_generated(self, q):
        start = int(q.get("continuation-token", "0"))
        more = start + 1000 < self.listed
        text = "".join(f"<Contents><Key>{q['prefix']}{n:07}.bulla</Key><Size>9000</Size></Contents>" for n in range(start, start + 1000))
        text += f"<IsTruncated>true</IsTruncated><NextContinuationToken>{start + 1000}</NextContinuationToken>" if more else "<IsTruncated>false</IsTruncated>"
        return Answer(200, document("ListBucketResult", text), {})

    def page_of(self, request, rows, markers, root):
        """rows have name, id and text; a page begins after those that the markers name."""
        q = request.query
        rows = [row for row in sorted(rows, key=lambda row: row[0].encode()) if row[0].startswith(q["prefix"])]
        after = q.get(markers[0][0])
        if after is not None:
            at = next((n for n, row in enumerate(rows) if row[:2] == (after, q[markers[1][0]])), -1)
            rows = [row for n, row in enumerate(rows) if row[0] > after or (row[0] == after and n > at >= 0)]
        shown, more = rows[: self.page], self.page < len(rows)
        text = "".join(row[2] for row in shown) + f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        if more:
            text += "".join(f"<{element}>{value}</{element}>" for (_, element), value in zip(markers, (self.written(shown[-1][0]), escape(shown[-1][1]))))
        return Answer(200, document(root, text + ("<EncodingType>url</EncodingType>" if self.encodes else "")), {})

    def versions(self, request, key):
        def row(name, o, latest):
            kind = "DeleteMarker" if o.marker else "Version"
            more = "" if o.marker else f"<ETag>{escape(o.etag)}</ETag><Size>{len(o.body)}</Size><StorageClass>{o.headers.get('x-amz-storage-class', 'STANDARD')}</StorageClass>"
            return name, o.version, (f"<{kind}><Key>{self.written(name)}</Key><VersionId>{o.version}</VersionId><IsLatest>{str(latest).lower()}</IsLatest>"
                                     f"<LastModified>2026-11-28T10:00:00.000Z</LastModified>{more}</{kind}>")  # fmt: skip

        rows = [row(name, o, number == 0) for name in set(self.objects) | set(self.old) for number, o in enumerate(self.all_of(name))]
        return self.page_of(request, rows, (("key-marker", "NextKeyMarker"), ("version-id-marker", "NextVersionIdMarker")), "ListVersionsResult")

    def uploading(self, request, key):
        rows = [(u.key, name, f"<Upload><Key>{self.written(u.key)}</Key><UploadId>{escape(name)}</UploadId><Initiated>{u.begun}</Initiated></Upload>")
                for name, u in self.uploads.items()]  # fmt: skip
        return self.page_of(request, rows, (("key-marker", "NextKeyMarker"), ("upload-id-marker", "NextUploadIdMarker")), "ListMultipartUploadsResult")
