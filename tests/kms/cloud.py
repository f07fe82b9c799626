"""A small AWS: master keys, aliases, principals and what they may do. It encrypts for real.

What it answers, and in which words it refuses, follows the documentation of KMS and STS.
"""

import base64
import binascii
import dataclasses
import json
import os
import re
import time
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ACCOUNT = "111122223333"
REGION = "us-east-1"
BLOB_MAGIC = b"\x01\x02\x02\x00"


class AwsError(Exception):
    def __init__(self, name, message=None, status=400):
        super().__init__(name, message)
        self.name, self.message, self.status = name, message, status


@dataclasses.dataclass
class Principal:
    """Credentials, and who they stand for; secret and token must never be printed by anybody."""

    arn: str
    key_id: str
    secret: str
    token: str | None = None
    expires: float | None = None  # seconds since 1970
    identity: str = ""  # whose permissions count: the role of an assumed role
    expired_once: bool = False

    def environment(self):
        names = {"AWS_ACCESS_KEY_ID": self.key_id, "AWS_SECRET_ACCESS_KEY": self.secret}
        return names | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})

    def document(self, seconds=3600, **more):
        """As metadata services and credential processes give it."""
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        return {"AccessKeyId": self.key_id, "SecretAccessKey": self.secret, "Expiration": until} | more


@dataclasses.dataclass
class Material:
    id: str
    key: bytes


@dataclasses.dataclass
class Key:
    arn: str
    materials: list  # the last wraps; replicas share the list
    state: str = "Enabled"
    usage: str = "ENCRYPT_DECRYPT"
    reports_material: bool = True

    @property
    def id(self):
        return self.arn.split("/")[-1]

    def rotate(self):
        self.materials.append(new_material())


def new_material():
    return Material(os.urandom(32).hex(), os.urandom(32))


def context_bytes(context):
    return json.dumps(context, sort_keys=True, ensure_ascii=True).encode()


def blob_fields(blob):
    """Key id, material id and the rest of a CiphertextBlob."""
    size = blob[4] if blob[:4] == BLOB_MAGIC and len(blob) > 5 else None
    if size is None or len(blob) < 5 + size + 32 + 12 + 16:
        raise AwsError("InvalidCiphertextException")
    return blob[5 : 5 + size].decode("ascii", "replace"), blob[5 + size : 37 + size].hex(), blob[37 + size :]


class Cloud:
    def __init__(self):
        self.keys, self.aliases, self.principals, self.roles = {}, {}, {}, {}
        self.permissions = []  # (identity, actions, key ARN or None for all, pairs of the context)
        self.plaintexts, self.secrets = [], set()  # what must never be printed
        self.sessions = []

    # Making the world.

    def key(self, region=REGION, account=ACCOUNT, partition="aws", replica_of=None, multi_region=False):
        name = replica_of.id if replica_of else ("mrk-" + uuid.uuid4().hex if multi_region else str(uuid.uuid4()))
        materials = replica_of.materials if replica_of else [new_material()]
        key = Key(f"arn:{partition}:kms:{region}:{account}:key/{name}", materials)
        self.keys[key.arn] = key
        return key

    def alias(self, name, key):
        arn = key.arn.rsplit(":", 1)[0] + ":" + name
        self.aliases[arn] = key.arn
        return arn

    def principal(self, arn, *actions, key=None, prefix="AKIA", session=False, seconds=None, identity=None):
        """New credentials; actions are allowed to them, on one key or on all."""
        made = Principal(arn, prefix + os.urandom(8).hex().upper(), "s3cr3t/" + base64.b64encode(os.urandom(24)).decode())
        made.identity = identity or arn
        if session:
            made.token = "t0k3n/" + base64.b64encode(os.urandom(120)).decode()
            made.expires = time.time() + (seconds if seconds is not None else 3600)
        self.principals[made.key_id] = made
        self.secrets |= {made.secret} | ({made.token} if made.token else set())
        if actions:
            self.allow(made.identity, *actions, key=key)
        return made

    def user(self, name, *actions, key=None, account=ACCOUNT):
        return self.principal(f"arn:aws:iam::{account}:user/{name}", *actions, key=key)

    def role(self, name, *actions, trusts=(), external_id=None, web_token=None, key=None):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        self.roles[arn] = {"trusts": set(trusts), "external_id": external_id, "web_token": web_token}
        self.allow(arn, *actions, key=key)
        return arn

    def session(self, role_arn, name="session", seconds=3600):
        """Credentials of a role that somebody assumed."""
        arn = role_arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/" + name
        made = self.principal(arn, prefix="ASIA", session=True, seconds=seconds, identity=role_arn)
        self.sessions.append(made)
        return made

    def allow(self, identity, *actions, key=None, context=()):
        """On one key or on all; with a context, only for requests whose encryption context has those pairs."""
        self.permissions.append((identity, set(actions), key.arn if key else None, set(dict(context).items())))

    # Asking it.

    def authorize(self, principal, action, arn, context=()):
        for identity, actions, key, pairs in self.permissions:
            if identity == principal.identity and key in (None, arn) and ("kms:*" in actions or action in actions):
                if pairs <= set(dict(context).items()):
                    return
        why = f"User: {principal.arn} is not authorized to perform: {action} on resource: {arn} because no identity-based policy allows the {action} action"
        raise AwsError("AccessDeniedException", why)

    def find(self, principal, region, name):
        """The key that a KeyId names, from a region."""
        if not name.startswith("arn:"):
            partition, account = principal.arn.split(":")[1], principal.arn.split(":")[4]
            name = f"arn:{partition}:kms:{region}:{account}:" + (name if name.startswith("alias/") else f"key/{name}")
        if name.split(":")[3] != region:
            raise AwsError("NotFoundException", f"Invalid arn {name.split(':')[3]}")
        if ":alias/" in name and name not in self.aliases:
            raise AwsError("NotFoundException", f"Alias {name} is not found.")
        arn = self.aliases.get(name, name)
        if arn not in self.keys:
            raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
        return self.keys[arn]

    def usable(self, principal, action, region, name, context):
        key = self.find(principal, region, name)
        self.authorize(principal, action, key.arn, context)
        if key.state == "Disabled":
            raise AwsError("DisabledException", f"{key.arn} is disabled.")
        if key.state != "Enabled":
            raise AwsError("KMSInvalidStateException", f"{key.arn} is {key.state} and cannot be used.")
        if key.usage != "ENCRYPT_DECRYPT":
            raise AwsError("InvalidKeyUsageException", f"{key.arn} key usage is {key.usage} which is not valid for {action}.")
        return key

    def seal(self, key, plaintext, context):
        nonce, material = os.urandom(12), key.materials[-1]
        sealed = AESGCM(material.key).encrypt(nonce, plaintext, context_bytes(context))
        return BLOB_MAGIC + bytes([len(key.id)]) + key.id.encode() + bytes.fromhex(material.id) + nonce + sealed

    def open(self, key, blob, context):
        """Plaintext and material id; the key must be the blob's own."""
        name, material_id, rest = blob_fields(blob)
        if name != key.id:
            raise AwsError("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
        for material in key.materials:
            if material.id == material_id:
                try:
                    return AESGCM(material.key).decrypt(rest[:12], rest[12:], context_bytes(context)), material.id
                except InvalidTag:
                    break
        raise AwsError("InvalidCiphertextException")

    def key_of_blob(self, region, blob):
        name = blob_fields(blob)[0]
        for key in self.keys.values():
            if key.id == name and key.arn.split(":")[3] == region:
                return key.arn
        raise AwsError("InvalidCiphertextException")

    # KMS.

    def Encrypt(self, principal, region, request):
        context = request.get("EncryptionContext", {})
        key = self.usable(principal, "kms:Encrypt", region, request["KeyId"], context)
        plaintext = from_base64(request["Plaintext"], 4096)
        dry(request)
        self.plaintexts.append(plaintext)
        blob = self.seal(key, plaintext, context)
        return {"CiphertextBlob": to_base64(blob), "KeyId": key.arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def Decrypt(self, principal, region, request):
        blob, context = from_base64(request["CiphertextBlob"], 6144), request.get("EncryptionContext", {})
        key = self.usable(principal, "kms:Decrypt", region, request.get("KeyId") or self.key_of_blob(region, blob), context)
        plaintext, material = self.open(key, blob, context)
        dry(request)
        self.plaintexts.append(plaintext)
        answer = {"Plaintext": to_base64(plaintext), "KeyId": key.arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        return answer | ({"KeyMaterialId": material} if key.reports_material else {})

    def ReEncrypt(self, principal, region, request):
        blob = from_base64(request["CiphertextBlob"], 6144)
        before, after = (request.get(f"{side}EncryptionContext", {}) for side in ("Source", "Destination"))
        source = self.usable(principal, "kms:ReEncryptFrom", region, request.get("SourceKeyId") or self.key_of_blob(region, blob), before)
        target = self.usable(principal, "kms:ReEncryptTo", region, request["DestinationKeyId"], after)
        plaintext, material = self.open(source, blob, before)
        dry(request)
        fresh = self.seal(target, plaintext, after)
        answer = {"CiphertextBlob": to_base64(fresh), "SourceKeyId": source.arn, "KeyId": target.arn}
        answer |= {f"{side}EncryptionAlgorithm": "SYMMETRIC_DEFAULT" for side in ("Source", "Destination")}
        if source.reports_material:
            answer["SourceKeyMaterialId"] = material
        if target.reports_material:
            answer["DestinationKeyMaterialId"] = target.materials[-1].id
        return answer

    def DescribeKey(self, principal, region, request):
        key = self.find(principal, region, request["KeyId"])
        self.authorize(principal, "kms:DescribeKey", key.arn)
        told = {"Arn": key.arn, "KeyId": key.id, "AWSAccountId": key.arn.split(":")[4], "KeyState": key.state, "KeyUsage": key.usage}
        told |= {"Enabled": key.state == "Enabled", "KeyManager": "CUSTOMER", "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS"}
        told |= {"MultiRegion": key.id.startswith("mrk-"), "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "CreationDate": 1.7e9}
        if key.reports_material:
            told["CurrentKeyMaterialId"] = key.materials[-1].id
        return {"KeyMetadata": told}

    # STS. Parameters are those of the query API.

    def GetCallerIdentity(self, principal, query):
        return {"Arn": principal.arn, "UserId": "AIDA" + principal.key_id[4:], "Account": principal.arn.split(":")[4]}

    def AssumeRole(self, principal, query):
        role = self.roles.get(query["RoleArn"])
        if role is None or not {principal.arn, principal.identity} & role["trusts"] or role["external_id"] != query.get("ExternalId"):
            raise AwsError("AccessDenied", f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: {query['RoleArn']}", 403)
        return self.assumed(query)

    def AssumeRoleWithWebIdentity(self, principal, query):
        role = self.roles.get(query["RoleArn"])
        if role is None or role["web_token"] is None or role["web_token"] != query.get("WebIdentityToken"):
            raise AwsError("InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://example.org", 400)
        return self.assumed(query)

    def assumed(self, query):
        seconds = int(query.get("DurationSeconds", 3600))
        if not 900 <= seconds <= 43200:
            raise AwsError("ValidationError", f"Value '{seconds}' at 'durationSeconds' failed to satisfy constraint", 400)
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", query["RoleSessionName"]):
            raise AwsError("ValidationError", "roleSessionName failed to satisfy constraint", 400)
        session = self.session(query["RoleArn"], query["RoleSessionName"], seconds)
        given = session.document(seconds, SessionToken=session.token)
        return {"Credentials": given, "AssumedRoleUser": {"Arn": session.arn, "AssumedRoleId": "AROAX:" + query["RoleSessionName"]}}


def dry(request):
    if request.get("DryRun"):
        why = "The request would have succeeded, but the DryRun option is set."
        raise AwsError("DryRunOperationException", why, 412)


def to_base64(data):
    return base64.b64encode(data).decode()


def from_base64(text, most):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise AwsError("SerializationException", "not base64") from None
    if not 1 <= len(data) <= most:
        raise AwsError("ValidationException", f"1 validation error detected: length of a blob is not 1 to {most}")
    return data
