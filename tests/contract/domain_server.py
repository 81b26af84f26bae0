"""A domain server that shares nothing with ours: for devices, one domain at a time."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JOSE_PATH = "/flashaccess/domainserver/"


class DomainServer:
    """Answers each request to register with what `register` makes of its body."""

    def __init__(self, register):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = register(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def url(self, domain: str) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}{JOSE_PATH}{domain}/"

    def __enter__(self) -> "DomainServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
