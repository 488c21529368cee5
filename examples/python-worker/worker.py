"""A small worker in Python, by its standard library alone.

It serves as many requests at once as it has slots, and lets the others wait without a bound and without a word:
what most workers do. `ambidex agent` in front of it does the rest.

    python3 worker.py --port 9000 --slots 4 --work-ms 50
"""

import argparse
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=9000)
parser.add_argument("--slots", type=int, default=4, help="requests that are worked on at once")
parser.add_argument("--work-ms", type=float, default=50, help="what one of them takes")
parser.add_argument("--name", default="python")
options = parser.parse_args()

slots = threading.Semaphore(options.slots)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections, so that the agent need not open one for each request
    disable_nagle_algorithm = True

    def do_GET(self):
        with slots:
            time.sleep(options.work_ms / 1000)
        body = f"hello from {options.name}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


server = Server(("127.0.0.1", options.port), Handler)
print(server.server_address[1], flush=True)  # the port, also where the system chose it (--port 0)
server.serve_forever()
