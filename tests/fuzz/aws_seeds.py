"""Seeds of what the key store of AWS KMS reads: the shared files, and answers of programs and of the network."""

import json
import struct

from parts import ARN, answer, broken_json, sized

CONFIG = ("[default]\nregion = eu-west-1\n[profile backup]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = base\nexternal_id = x\n"
          "[profile \"base\"]\naws_access_key_id = AKID\naws_secret_access_key: secret\n# c\n[services backup]\nkms =\n  endpoint_url = https://localhost\n")
CREDENTIALS = "[default]\naws_access_key_id=AKID\naws_secret_access_key=secret\naws_session_token=token\n[backup]\nregion=us-east-1\n"


def profiles(_):
    yield "both", sized(CONFIG) + CREDENTIALS.encode()
    yield "odd", sized("[profile'x']\nregion=\n[profilex]\n[profile\n") + b"\n\n;x\n[ default ]\r\nregion = b\r\n"
    yield "mark", sized(b"\xef\xbb\xbf[default]\rregion=a\r\r\n") + b"[backup]\nregion = a\n\n  b\n # c\n\tc = d\nrole_arn =\n  x = y\n  x=\n"
    for i, text in enumerate((b"\xff\xfe[\0", b"[default\n", b"[]", b"x", b"[x]\ny", b"[x]\ny=\n z", b"[x]\n=y", b"[x]\n\xc3\xa4=y", b"[x]\ny\x7f=", b"[x]\ny\tz=", b"[x]\n[x]",
                              b"[x]\ny=1\nz=2\nY:3", b"[DEFAULT]", b"[x]\ny=\0", b"[profile x]\n[profile 'x]\n[profile \"x\"]", b"[services backup]\nkms=\n x=y\n  x=z\n[services b]\nc=d")):
        yield f"no-config{i}", sized(text)
        yield f"no-credentials{i}", sized("") + text


GOOD = {"AccessKeyId": "AKID", "SecretAccessKey": "secret", "Token": "token", "Expiration": "2099-01-01T00:00:00Z", "Code": "Success"}
STS = ("<R><Credentials><AccessKeyId>AKID</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>"
       "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></R>")
CALLER = answer(200, "<Arn>arn:aws:iam::111122223333:user/u</Arn>")
DENIED = answer(403, "<E><Code>AccessDenied</Code><Message>no &lt;x&gt;</Message></E>", "x-amzn-RequestId: 17")
LATER = answer(503, "")


def credentials(_):
    def made(how, *answers, config="", shared="", token=""):
        return bytes([how]) + sized(config) + sized(shared) + sized(token) + b"".join(answers)

    process = "[default]\ncredential_process = /bin/prog 'a b'\n"
    good = json.dumps({"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "secret", "SessionToken": "t", "Expiration": "2099-01-01T00:00:00Z"})
    role = "[default]\nrole_arn = arn:aws:iam::111122223333:role/r\n"
    instance = (answer(200, "TOKEN"), answer(200, "role-name"), answer(200, GOOD))
    yield "environment", made(1, CALLER)
    yield "denied", made(1, LATER, LATER, DENIED)
    yield "expired", made(1, answer(400, "<Code>ExpiredToken</Code>"), CALLER)
    yield "shared", made(0, CALLER, shared=CREDENTIALS)
    yield "config", made(128, answer(200, STS), CALLER, config=CONFIG)
    yield "role-denied", made(128, DENIED, config=CONFIG)
    yield "role-unknown", made(128, answer(403, "<Code>InvalidClientTokenId</Code>"), config=CONFIG)
    yield "process", made(0, sized(good), b"\0", CALLER, config=process)
    yield "process-fails", made(0, sized(good), b"\1", config=process)
    yield "process-odd", made(0, sized("{}"), b"\0", config=process)
    yield "process-quote", made(0, config="[default]\ncredential_process = 'x\n")
    yield "container", made(2, answer(200, GOOD), CALLER)
    yield "container-token", made(6, LATER, LATER, answer(200, GOOD), CALLER, token="Basic x\n")
    yield "container-full", made(32 + 64, answer(404, "no"))
    yield "container-text", made(2, answer(200, "no"))
    yield "instance", made(0, *instance, CALLER)
    yield "instance-none", made(0, b"\7\6")
    yield "instance-old", made(0, answer(404, ""))
    yield "instance-roleless", made(0, answer(200, "TOKEN"), answer(404, ""))
    yield "instance-odd-role", made(0, answer(200, "TOKEN"), answer(200, "a/b"))
    yield "instance-no", made(0, answer(200, "TOKEN"), answer(200, "r"), answer(200, {"Code": "Failed"}))
    yield "instance-six", made(0, *instance, config="[default]\nec2_metadata_service_endpoint_mode = IPv6\nmetadata_service_timeout = 5\n")
    yield "instance-else", made(0, config="[default]\nec2_metadata_service_endpoint = http://example.org\n")
    yield "instance-path", made(0, config="[default]\nec2_metadata_service_endpoint = http://127.0.0.1/x\n")
    yield "web", made(16, answer(200, STS), CALLER, token="jwt\n")
    yield "web-empty", made(16)
    yield "web-long", made(16, token="a" * 20001)
    yield "web-profile", made(0, answer(200, STS), config="[default]\nweb_identity_token_file = token\nrole_arn = r\nrole_session_name = s\n", token="jwt")
    yield "web-no-role", made(0, config="[default]\nweb_identity_token_file = token\n", token="jwt")
    yield "sso", made(0, config="[default]\nsso_session = s\n")
    yield "sso-role", made(0, config="[default]\nsso_role_name = r\naws_access_key_id = A\naws_secret_access_key = s\n")
    yield "sso-account", made(0, config="[default]\nsso_account_id = 1\n")
    yield "login", made(0, config="[default]\nlogin_session = s\n")
    yield "login-keys", made(0, CALLER, config="[default]\nlogin_session = s\n", shared=CREDENTIALS)
    yield "valueless", made(0, config="[default]\ncredential_process =\n")
    yield "secret", made(0, shared="[default]\naws_secret_access_key = s\n")
    yield "two-lines", made(0, shared=CREDENTIALS.replace("=token", "=token\n  token"))
    services = "[default]\nservices = s\n[services s]\nsts =\n  endpoint_url = https://localhost/sts\n"
    yield "services", made(1, CALLER, config=services)
    yield "services-none", made(1, config=services.replace("services s", "services t"))
    yield "services-other", made(1, CALLER, config=services.replace("sts", "kms"))
    yield "services-ignored", made(1, CALLER, config=services.replace("[services", "ignore_configured_endpoint_urls = true\n[services"))
    for i, value in enumerate(("1", "0", "101", "x", "1x", "99999999999999999999999")):
        yield f"attempts{i}", made(1, LATER, CALLER, config=f"[default]\nmax_attempts = {value}\n")
        yield f"instance-numbers{i}", made(0, *instance, CALLER, config=f"[default]\nmetadata_service_timeout = {value}\nmetadata_service_num_attempts = {value}\n")
    yield "instance-slow", made(0, b"\x17\x1b", *instance, CALLER)
    yield "instance-slow-later", made(0, *instance[:2], b"\x17\x1b", answer(503, ""), instance[2], CALLER)
    yield "instance-too-slow", made(0, *[b"\x17\x1b"] * 3)
    yield "instance-slow-then-gone", made(0, b"\x17\x1b", *[b"\7\6"] * 2)
    for i, value in enumerate(("1970-01-01T00:00:00Z", "2099-01-01 00:00 +0000", "2099-01-01T00:00:00+01", "2099-01-01T00:00:00.5 UTC", "2099-01-01T00:00:00+1", "2099-01-01T00:00:00-01:0",
                               "2099-01-01T00:00:00+24:00", "2099-01-01T00:00:00+00:60", "2099-01-01T00:00", "2099-01-01", "2099-01-01T00", "2099-01-01T00:00:00+xx", "2099-01-01T00:00:00+0x", 1)):
        yield f"container-until{i}", made(2, answer(200, GOOD | {"Expiration": value}), CALLER)
    yield "mfa", made(0, config=role + "source_profile = default\nmfa_serial = m\n")
    yield "self", made(0, answer(200, STS), config=role + "source_profile = default\naws_access_key_id = A\naws_secret_access_key = s\n")
    yield "circle", made(0, config=role + "source_profile = b\n[profile b]\nrole_arn = x\nsource_profile = default\n")
    yield "no-source", made(0, config=role + "source_profile = b\n")
    yield "named-both", made(0, config=role + "source_profile = b\ncredential_source = Environment\n")
    yield "named", made(1, answer(200, STS), config=role + "credential_source = Environment\n")
    yield "named-container", made(2, answer(200, GOOD), answer(200, STS), config=role + "credential_source = EcsContainer\n")
    yield "named-instance", made(0, *instance, answer(200, STS), config=role + "credential_source = Ec2InstanceMetadata\n")
    yield "named-none", made(8, config=role + "credential_source = Environment\n")
    yield "named-odd", made(8, config=role + "credential_source = Else\n")
    yield "none", made(8)
    yield "no-profile", made(128)
    yield "region", made(1, config="[default]\nregion = a.b\n")
    yield "settings", made(1, CALLER, config="[default]\nregion = cn-north-1\nuse_fips_endpoint = true\nuse_dualstack_endpoint=true\nca_bundle=/x\n")
    yield "endpoint", made(1, CALLER, config="[default]\nendpoint_url = https://localhost\n")
    for i, odd in enumerate(("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")):
        yield f"sts-without{i}", made(128, answer(200, STS.replace(odd, "X")), config=CONFIG)
        yield f"sts-odd{i}", made(128, answer(200, STS.replace(f"<{odd}>", f"<{odd}>a b")), config=CONFIG)
    yield "sts-later", made(128, LATER, LATER, LATER, config=CONFIG)
    yield "sts-no-caller", made(1, answer(200, "<R/>"))
    yield "sts-expired", made(128, answer(400, "<Code>ExpiredToken</Code>"), answer(400, "<Code>X</Code>"), config=CONFIG)
    yield "sts-unreachable", made(1, *[b"\7\6"] * 3)
    for name in GOOD:
        yield "container-without-" + name, made(2, answer(200, {k: v for k, v in GOOD.items() if k != name}), CALLER)
        for i, value in enumerate(("", "a b", "a\x7f", "\u00e4", "a" * 17000, 1, None)):
            yield f"container-{name}-{i}", made(2, answer(200, GOOD | {name: value}), CALLER)
            yield f"instance-{name}-{i}", made(0, answer(200, "TOKEN"), answer(200, "role-name"), answer(200, GOOD | {name: value}))
    yield "also-web-denied", made(16, DENIED, token="jwt\n")
    yield "also-web-half", made(0, config="[default]\nweb_identity_token_file = token\n", token="jwt")
    yield "also-telling", made(0, answer(403, f"<E><Code>AccessDenied</Code><Message>{'0123456789' * 4}</Message></E>"), shared=CREDENTIALS.replace("=token", "=" + "0123456789" * 4))
    yield "also-long", made(0, shared=CREDENTIALS.replace("=token", "=" + "a" * 16385))
    yield "also-delete", made(0, shared=CREDENTIALS.replace("=token", "=a\x7f"))
    yield "also-empty", made(0, CALLER, shared=CREDENTIALS.replace("=token", "="))
    yield "also-empty-token", made(2, answer(200, GOOD | {"Token": ""}), CALLER)
    yield "also-sso-process", made(0, sized(good), b"\0", CALLER, config=process + "sso_session = s\n")
    yield "also-sso-keys", made(0, CALLER, config="[default]\nsso_session = s\naws_access_key_id = A\naws_secret_access_key = s\n")
    yield "also-header", made(1, answer(403, "<E><Code>AccessDenied</Code></E>", "x-amzn-RequestId: a\x7f"))
    yield "container-soon", made(2, answer(200, GOOD | {"Expiration": "2001-01-01T00:00:00Z"}), CALLER)
    yield "container-later", made(2, LATER, answer(500, ""), answer(500, ""))
    yield "container-unreachable", made(2, *[b"\7\6"] * 3)
    yield "container-https", made(32, config="")
    yield "container-no-token", made(6)
    yield "container-long-token", made(6, token="a" * 16385)
    yield "container-empty-token", made(6, answer(200, GOOD), token="\n")
    for name, status, text in (("empty", 200, ""), ("lines", 200, "a\nb"), ("later", 503, ""), ("no", 403, "x")):
        yield f"instance-token-{name}", made(0, answer(status, text))
        yield f"instance-role-{name}", made(0, answer(200, "TOKEN"), answer(status, text))
        yield f"instance-answer-{name}", made(0, answer(200, "TOKEN"), answer(200, "r"), answer(status, text))
    yield "instance-long-role", made(0, answer(200, "TOKEN"), answer(200, "r" * 129))
    yield "instance-fails", made(0, answer(200, "TOKEN"), b"\7\6")
    yield "instance-fails-later", made(0, answer(200, "TOKEN"), answer(200, "r"), b"\7\6")
    yield "instance-untrusted", made(0, b"\7\x3b")
    yield "instance-endpoint", made(0, config="[default]\nec2_metadata_service_endpoint = ftp://x\nmetadata_service_timeout = 99\n")
    yield "instance-near", made(0, *instance, config="[default]\nec2_metadata_service_endpoint = http://169.254.169.254:80/\n")
    yield "instance-https", made(0, *instance, config="[default]\nec2_metadata_service_endpoint = https://h.example\n")
    yield "named-web", made(0, config=role + "credential_source = Ec2InstanceMetadata\n")
    yield "sso-process", made(0, sized(good), b"\0", config="[default]\nsso_start_url = s\ncredential_process = x\n")
    yield "sso-keys", made(0, config="[default]\nsso_session = s\naws_access_key_id = A\naws_secret_access_key = B\n")
    yield "role-keys", made(128, answer(200, STS), config=CONFIG + "role_arn = arn:x\n")
    yield "role-half", made(128, config=CONFIG.replace("aws_secret_access_key", "x"))
    yield "role-web", made(0, config="[default]\nrole_arn = r\nsource_profile = b\n[profile b]\nweb_identity_token_file = token\n", token="jwt")
    yield "self-shared", made(0, answer(200, STS), config=role + "source_profile = default\n", shared=CREDENTIALS)
    yield "self-none", made(0, config=role + "source_profile = default\n")
    yield "source-none", made(0, config=role + "source_profile = b\n[profile b]\nx = y\n")
    yield "self-half", made(0, config=role + "source_profile = default\n", shared="[default]\naws_access_key_id=A\n")
    yield "deep", made(0, config=role + "source_profile = p0\n" + "".join(f"[profile p{i}]\nrole_arn = r\nsource_profile = p{i + 1}\n" for i in range(12)) + "[profile p12]\n")
    yield "half", made(0, shared="[default]\naws_access_key_id = A\n")
    yield "old", made(0, shared=CREDENTIALS.replace("token=token", "token=t t"))


def kms(_):
    encrypted = {"KeyId": ARN, "CiphertextBlob": "AQIDBA==", "KeyMaterialId": "m1"}
    decrypted = {"KeyId": ARN, "Plaintext": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    moved = {"SourceKeyId": ARN, "KeyId": ARN, "CiphertextBlob": "AQIDBA==", "DestinationKeyMaterialId": "m2"}
    about = {"KeyMetadata": {"Arn": ARN, "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT", "CurrentKeyMaterialId": "m2", "MultiRegion": False}}
    dry = answer(400, {"__type": "DryRunOperationException", "message": "x"})
    for name in range(5):
        yield f"wrap{name}", bytes([name, 0, 0]) + answer(200, encrypted) + b"\1" + answer(200, decrypted)
        yield f"unwrap{name}", bytes([name, 0, 1]) + answer(200, decrypted) + b"\0" + answer(200, encrypted)
        yield f"move{name}", bytes([name, 1, 2]) + answer(200, moved) + b"\2" + answer(200, moved)
        yield f"locate{name}", bytes([name, 0, 3]) + answer(200, about) + b"\3"
    for verb, good in enumerate((encrypted, decrypted, moved, about)):
        for i, made in enumerate(broken_json(json.dumps(good))):
            yield f"broken{verb}-{i}", bytes([1, 0, verb]) + answer(200, made)
    yield "describe", b"\0\0\4" + CALLER + answer(200, about) + dry + answer(200, encrypted) + dry + dry
    yield "describe-denied", b"\0\0\4" + DENIED + answer(400, {"__type": "AccessDeniedException"}) + answer(400, {"__type": "AccessDeniedException"})
    for i, name in enumerate(["AccessDeniedException", "IncorrectKeyException", "InvalidCiphertextException", "NotFoundException", "DisabledException",
                              "ThrottlingException", "com.amazonaws#KMSInternalException", "ExpiredTokenException", "SignatureDoesNotMatch", "Else:http://x"]):
        for verb in (0, 1, 2):
            again = b"".join(answer(400, {"__type" if i % 2 else "code": name, "Message": "because"}, "x-amzn-RequestId:  ab c") for _ in range(3))
            yield f"refused{i}-{verb}", bytes([verb, 0, verb]) + again + bytes([verb])
    for i, name in enumerate(("a.b#C1", "x" * 70, "#", "", "A[Z", "a{z", "/0:9", "A-B")):
        yield f"name{i}", b"\0\0\0" + answer(400, {"__type": name, "message": "m" * (600 * (i % 2))})
        yield f"text{i}", b"\0\0\0" + answer(400, f"<E><Code>{name}</Code></E>", "x-amzn-requestid:" + " \x01ab\x7f" * 40)
    yield "header-long", b"\0\0\0" + answer(400, "", "X-Amzn-RequestId: " + "a" * 200)
    yield "header-short", b"\0\0\0" + answer(400, "", "x-amzn-requestid:")
    yield "header-odd", b"\0\0\0" + answer(429, "", "x-amzn-requestid: a\x01") + b"\0\0" * 10
    yield "header-blank", b"\0\0\0" + answer(301, "", "x-amzn-requestid:   ")
    for code in range(1, 100):
        yield f"code{code}", b"\0\0\1" + bytes([7, code, 15, code, 7, code])
    for i in range(5):
        yield f"pinned{i}", bytes([i, 0, 3]) + answer(200, about) + b"\1" + answer(200, decrypted | {"KeyId": ARN.replace("eu-west", "us-west")})
        yield f"replica{i}", bytes([4, i, 1]) + answer(200, decrypted | {"KeyId": ARN.replace("key/a", "key/mrk-b")})
    for name in (ARN.replace("key/a", "alias/a"), "x"):
        yield f"also-key-{len(name)}", b"\0\0\0" + answer(200, encrypted | {"KeyId": name})
    yield "also-material", b"\0\0\0" + answer(200, encrypted | {"KeyMaterialId": "m" * 300})
    yield "also-material-delete", b"\0\0\0" + answer(200, encrypted | {"KeyMaterialId": "m\x7f"})
    yield "also-plain", b"\0\0\0" + answer(400, {"__type": "X", "message": "A" * 44})
    yield "also-busy", b"\0\0\0" + answer(429, {"__type": "X"}) * 4
    yield "also-redirect", b"\0\0\0" + answer(302, "")
    yield "also-not-redirect", b"\0\0\0" + answer(404, "")
    yield "telling", b"\0\0\0" + answer(400, {"__type": "X", "message": "kNownSecretAccessKeyOfTheFuzzer1"})
    yield "not-json", b"\0\0\0" + answer(200, "no") + b"\0" + answer(200, "[]")
    yield "unreachable", b"\0\0\0\7\6\7\6\7\6\0"
    yield "untrusted", b"\0\0\0\7\x3b\0\7\x4c\0\7\x2a\0\x0f\x1a"
    yield "other-key", b"\0\0\1" + answer(200, decrypted | {"KeyId": ARN + "b"})
    yield "short", b"\0\0\1" + answer(200, decrypted | {"Plaintext": "AAEC"}) + b"\0" + answer(200, encrypted | {"CiphertextBlob": "A"})
    yield "also-too-long", b"\0\0\0" + b"\6" + struct.pack(">H", 200) + sized("") + 3 * sized(b" " * 22000)
    yield "material", b"\0\0\3" + answer(200, {"KeyMetadata": about["KeyMetadata"] | {"CurrentKeyMaterialId": "a b", "KeyState": "x" * 40}})


LISTED = "<Contents><Key>t/a%2Bb+c.bulla</Key><Size>8192</Size><ETag>&quot;x&quot;</ETag><StorageClass>DEEP_ARCHIVE</StorageClass></Contents>"
ENCODED = "<EncodingType>url</EncodingType>"


def s3(_):
    """Answers to a read (0), a list (1), a replacement (2), a removal (3), an upload in parts (4), a list of versions (5) and of uploads (6), and a checksum (7)."""
    def many(status, body, *headers):
        return answer(status, body, "\r\n".join(headers))

    whole = many(206, "x" * 64, 'ETag: "a"', "Content-Range: bytes 0-63/100", "x-amz-meta-mtime: 1", "Content-Type: text/x", "x-amz-tagging-count: 1",
                 "Last-Modified: Sat, 28 Nov 2026 10:00:00 GMT")
    short = many(206, "x", 'ETag: "a"', "Content-Range: bytes 0-0/1")
    tags = answer(200, "<Tagging><TagSet><Tag><Key>a b</Key><Value>c/d</Value></Tag><Tag><Key>e</Key><Value></Value></Tag></TagSet></Tagging>")
    gone, first = answer(404, "<Error><Code>NoSuchKey</Code></Error>"), answer(412, "<Error><Code>PreconditionFailed</Code></Error>")
    begun, part = answer(200, "<R><UploadId>a+b/c</UploadId></R>"), many(200, "", 'ETag: "p"')
    copied = answer(200, "<CopyPartResult><ETag>&quot;c&quot;</ETag></CopyPartResult>")
    inside = answer(200, "<Error><Code>InternalError</Code><Message>later</Message></Error>")
    yield "read", b"\0" + whole
    yield "read-short", b"\0" + short + b"\0" + short
    for i, bad in enumerate((gone, first, answer(416, "<Error><Code>InvalidRange</Code></Error>"), many(206, "x", 'ETag: "a"', "Content-Range: bytes 1-1/2"),
                             many(206, "x", 'ETag: "a"', "Content-Range: none"), many(206, "x", "Content-Range: bytes 0-0/1"), many(200, "x" * 100, 'ETag: "a"'),
                             many(206, "x", "ETag: a", "Content-Range: bytes 0-0/1"), many(301, "", "x-amz-bucket-region: eu-west-3") + short,
                             answer(400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></Error>") + short,
                             many(400, "", "x-amz-bucket-region: EVIL/"), many(206, "x", 'ETag: "b"', "Content-Range: bytes 0-0/1"))):
        yield f"read-bad{i}", b"\0" + bad
        yield f"read-again{i}", b"\0" + short + b"\0" + bad
    yield "list", b"\1" + answer(200, f"<ListBucketResult>{LISTED}{ENCODED}<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>") \
        + answer(200, f"<ListBucketResult>{LISTED.replace('%2B', '')}</ListBucketResult>")
    version = "<Version><Key>t/x%2By</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><Size>9</Size><StorageClass>GLACIER</StorageClass></Version>"
    marker = "<DeleteMarker><Key>t/x</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-28T10:00:00.000Z</LastModified></DeleteMarker>"
    more = "<IsTruncated>true</IsTruncated><NextKeyMarker>t/x%2By</NextKeyMarker>"
    yield "versions", b"\5" + answer(200, f"<ListVersionsResult>{version}{marker}{ENCODED}{more}<NextVersionIdMarker>v1</NextVersionIdMarker></ListVersionsResult>") \
        + answer(200, f"<ListVersionsResult>{version}</ListVersionsResult>")
    upload = "<Upload><Key>t/x</Key><UploadId>u</UploadId><Initiated>2026-11-28T10:00:00Z</Initiated></Upload>"
    yield "uploads", b"\6" + answer(200, f"<ListMultipartUploadsResult>{upload}{more}<NextUploadIdMarker>u</NextUploadIdMarker></ListMultipartUploadsResult>") \
        + answer(200, f"<ListMultipartUploadsResult>{upload.replace('28T', '28')}</ListMultipartUploadsResult>")
    for i, (kind, sum) in enumerate((("FULL_OBJECT", "rosUhgp5mIg="), ("COMPOSITE", "rosUhgp5mIg=-2"), ("FULL_OBJECT", "rosUhgp5"), ("FULL_OBJECT", "rosUhgp5mIiI"), ("FULL_OBJECT", "*"))):
        yield f"also-checksum{i}", b"\7" + many(200, "", f"x-amz-checksum-type: {kind}", f"x-amz-checksum-crc64nvme: {sum}")
    for i, text in enumerate((version.replace("<VersionId>v1</VersionId>", ""), version.replace("v1", "v" * 300), version.replace("t/x", "u/x"), more, "<Version></Version>",
                              f"{ENCODED}{more.replace('%2B', '%0')}", f"{more}<NextVersionIdMarker>{'v' * 5000}</NextVersionIdMarker>")):
        yield f"versions-bad{i}", b"\5" + answer(200, f"<ListVersionsResult>{text}</ListVersionsResult>")
    for i, text in enumerate((upload.replace("<UploadId>u</UploadId>", ""), upload.replace(">u<", f">{'u' * 1100}<"), "<Upload></Upload>")):
        yield f"uploads-bad{i}", b"\6" + answer(200, f"<ListMultipartUploadsResult>{text}</ListMultipartUploadsResult>")
    for i, text in enumerate(("<html></html>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", f"<ListBucketResult>{LISTED.replace('%2B', '%0')}{ENCODED}</ListBucketResult>",
                              "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", "<ListBucketResult><Contents><Key>u/x</Key><Size>1</Size></Contents></ListBucketResult>",
                              "<ListBucketResult><Contents><Key>t/x</Key><Size>x</Size></Contents></ListBucketResult>", "<a>" * 20, "<!DOCTYPE a><a/>", "<a" + "b" * 70 + "/>",
                              f"<ListBucketResult><NextContinuationToken>{'t' * 5000}</NextContinuationToken></ListBucketResult>", f"<ListBucketResult><Contents><Key>{'k' * 4000}</Key></Contents></ListBucketResult>")):
        yield f"list-bad{i}", b"\1" + answer(200, text)
    yield "replace", b"\0" + whole + b"\2" + tags + answer(200, "")
    yield "replace-lost", b"\0" + short + b"\2" + first + b"\2" + gone
    yield "replace-ours", b"\0" + short + b"\2" + answer(500, "") + first + short
    yield "remove", b"\0" + short + b"\3" + answer(204, "") + b"\3" + first
    yield "upload", b"\0" + whole + b"\4" + begun + part + copied + copied
    yield "upload-errors", b"\0" + whole + b"\4" + begun + part + inside + copied + inside + inside + copied
    yield "upload-lost", b"\0" + whole + b"\4" + begun + part + copied + first + b"\4" + begun + part + first
    yield "upload-odd", b"\4" + answer(200, "<R/>") + b"\4" + begun + answer(200, "") + b"\4" + begun + part + answer(200, "<a/>")
