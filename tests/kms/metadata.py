"""Stand-ins for the places on the machine that hand out credentials: EC2's metadata and the containers' endpoint."""

import json

from server import Answer, Listener


def text(status, content, **headers):
    return Answer(status, content.encode(), {"Content-Type": "text/plain"} | headers)


class InstanceMetadata(Listener):
    """IMDS, version 2; with v1_only it has no tokens, as one that is too old or set so."""

    ROLE = "backup-host"

    def __init__(self, principal, v1_only=False, seconds=6 * 3600, **where):
        self.principal, self.v1_only, self.seconds = principal, v1_only, seconds
        self.token, self.asked, self.strange = "imds-t0k3n-" + "x" * 40, [], {}
        super().__init__(**where)

    def answer(self, request):
        self.asked.append(f"{request.method} {request.path}")
        if request.path in self.strange:
            return self.strange[request.path]
        if request.path == "/latest/api/token":
            if self.v1_only:
                return text(403, "Forbidden")
            if request.method != "PUT" or not request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
                return text(400, "Bad Request")
            if request.headers.get("X-Forwarded-For"):
                return text(403, "Forbidden")
            return text(200, self.token, **{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": "21600"})
        if request.method != "GET":
            return text(405, "")
        if not self.v1_only and request.headers.get("X-aws-ec2-metadata-token") != self.token:
            return text(401, "Unauthorized")
        return self.metadata(request.path)

    def metadata(self, path):
        directory = "/latest/meta-data/iam/security-credentials/"
        if path in (directory, directory[:-1]):
            return text(200, self.ROLE)
        if path == directory + self.ROLE:
            given = self.principal.document(self.seconds, Code="Success", Type="AWS-HMAC", Token=self.principal.token)
            return text(200, json.dumps(given, indent=2))
        if path == "/latest/meta-data/placement/region":
            return text(200, "us-east-1")
        return text(404, "not found")


class ContainerEndpoint(Listener):
    """What ECS and EKS offer; an Authorization may be demanded."""

    def __init__(self, principal, path="/v2/credentials/0123", authorization=None, seconds=6 * 3600, **where):
        self.principal, self.path, self.authorization, self.seconds = principal, path, authorization, seconds
        self.asked, self.heard, self.strange = [], [], {}
        super().__init__(**where)

    def answer(self, request):
        self.asked.append(f"{request.method} {request.path}")
        self.heard.append(dict(request.headers))
        if request.path in self.strange:
            return self.strange[request.path]
        if request.path != self.path or request.method != "GET":
            return text(404, "{}")
        if request.headers.get("Authorization") != self.authorization:
            return text(401, '{"code": "AuthorizationRequired", "message": "no"}')
        return text(200, json.dumps(self.principal.document(self.seconds, RoleArn="arn:aws:iam::111122223333:role/task", Token=self.principal.token)))
