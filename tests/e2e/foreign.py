# SPDX-License-Identifier: MIT
"""Programs of other projects beside sluice, as servers and as clients, and Python's own server."""

import os
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import HOST, Skip, check, dial, wait_until

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000; keepalive_timeout 60s;
  server {{ listen {host}:{port} backlog=1024; root {root}; }}
}}
"""


class Program:
    """A server of another project: started on a port, ended by the test."""

    def __init__(self, port, *command):
        self.port, self.address, self.command = port, (HOST, port), command
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_until(self._listens, f"{command[0]} does not listen")
        except BaseException:
            self.__exit__()
            raise

    def _listens(self):
        if self.process.poll() is not None:
            self.output.seek(0)
            said = self.output.read().decode(errors="replace")[-500:]
            raise Skip(f"{self.command[0]} ended with {self.process.returncode}: {said}")
        try:
            dial(self.address, timeout=1).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()


class Handler(BaseHTTPRequestHandler):
    """What handlers of a PythonServer are made from: they have do_GET() .. and call .answer()."""
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # wrk ends with resets


class PythonServer:
    """In this process, on a port that the kernel chose."""

    def __init__(self, handler):
        self.server = _Server((HOST, 0), handler)
        self.address = self.server.server_address
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def output_of(*command, seconds=40):
    """A client of another project, to its end, which must be a good one: all that it printed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds, check=False)
    text = done.stdout.decode(errors="replace")
    check(done.returncode == 0, f"{os.path.basename(command[0])} ended with {done.returncode}: "
          f"{text[-600:]}")
    return text


def url(sluice, path="/"):
    return f"http://{HOST}:{sluice.address[1]}{path}"
