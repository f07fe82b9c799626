"""A bucket on loopback in which nothing is: what verbs need that only speak to one."""

import contextlib
import http.server
import threading

ROOTS = {"versions": "ListVersionsResult", "uploads": "ListMultipartUploadsResult", "list-type": "ListBucketResult"}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        root = next(root for name, root in ROOTS.items() if f"{name}=" in self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"<{root}><IsTruncated>false</IsTruncated></{root}>".encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def empty_bucket():
    """Gives the variables that send bulla there."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cr3t",
               "AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
