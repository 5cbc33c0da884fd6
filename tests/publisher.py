"""A publisher's server on this machine, with a publisher's faults."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Publisher:
    """A server of files that can stop in the middle, lie about a checksum and refuse to continue."""

    def __init__(self, files):
        self.files, self.asked, self.cut, self.continues = files, [], {}, True
        publisher = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                publisher.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/challenge/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        name, wanted = request.path.rsplit("/", 1)[-1], request.headers.get("Range")
        self.asked.append((name, wanted))
        if name not in self.files:
            return request.send_error(404)
        content = self.files[name]
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.continues else 0
        if start and start >= len(content):
            return request.send_error(416)
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        request.wfile.write(content[start : self.cut.pop(name, len(content))])
        return None
