"""An HTTP proxy that notes what it was asked for and leads every tunnel to one place."""

import selectors
import socket
import socketserver
import threading


class Proxy:
    """self.asked has 'host:port' for each CONNECT, and the request line of everything else."""

    def __init__(self, target=None, refused=()):
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                line = self.rfile.readline(65536).decode("latin-1").split()
                while self.rfile.readline(65536).strip():
                    pass
                if len(line) == 3 and line[0] == "CONNECT":
                    proxy.asked.append(line[1])
                    proxy.tunnel(self.connection, line[1])
                else:
                    proxy.asked.append(" ".join(line))
                    self.connection.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, address):
                pass

        self.asked, self.target, self.refused = [], target, set(refused)
        self.server = Threads(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def tunnel(self, client, place):
        if self.target is None or place.rsplit(":", 1)[0] in self.refused:
            client.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", self.target.port)) as server:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            with selectors.DefaultSelector() as ready:
                ready.register(client, selectors.EVENT_READ, server)
                ready.register(server, selectors.EVENT_READ, client)
                while True:
                    for key, _ in ready.select(30):
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        key.data.sendall(data)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
