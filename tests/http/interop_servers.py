# SPDX-License-Identifier: MIT
"""Servers of other projects, each answering the path of a request: /c/0 to /c/9 with "/c/N"."""

import os
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from http_peers import HOST, dial, wait_until
from harness import Skip, free_port, need

PAGES = 10

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000; keepalive_timeout 60s;
  server {{ listen {host}:{port} backlog=1024; root {folder}/www; }}
}}
"""

HAPROXY = """
defaults
  mode http
  timeout client 60s
  timeout http-keep-alive 60s
frontend f
  bind {host}:{port}
  http-request return status 200 content-type text/plain lf-string "%[path]"
"""

LIGHTTPD = """
server.bind = "{host}"
server.port = {port}
server.document-root = "{folder}/www"
server.max-keep-alive-requests = 1000000
server.max-keep-alive-idle = 60
"""

APACHE = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
ServerName {host}
Listen {host}:{port}
PidFile {folder}/pid
ErrorLog {folder}/errors
{modules}
{user}
DocumentRoot {folder}/www
<Directory {folder}/www>
  Require all granted
</Directory>
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
"""

NODE = """
const http = require('http');
const server = http.createServer((req, res) => {{
  req.on('data', () => {{}});
  req.on('end', () => {{
    res.setHeader('Content-Length', Buffer.byteLength(req.url));
    res.end(req.url);
  }});
}});
server.keepAliveTimeout = 60000;
server.listen({port}, '{host}');
"""


class Program:
    """A server started with its configuration in a folder of its own, ended by the test."""

    def __init__(self, name, text, *arguments):
        self.program = need(name)
        self.port = free_port()
        self.address = (HOST, self.port)
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-http-")
        path = self.folder.name
        os.chmod(path, 0o755)
        os.makedirs(os.path.join(path, "www", "c"))
        for i in range(PAGES):
            with open(os.path.join(path, "www", "c", str(i)), "w", encoding="ascii") as f:
                f.write(f"/c/{i}")
        self.conf = os.path.join(path, "conf")
        with open(self.conf, "w", encoding="ascii") as f:
            f.write(text.format(folder=path, host=HOST, port=self.port, modules=apache_modules(),
                                user="User www-data\nGroup www-data" if os.getuid() == 0 else ""))
        words = [w.format(conf=self.conf, folder=path) for w in arguments]
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen([self.program, *words], stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        try:
            wait_until(self._listens, f"{name} does not listen")
        except BaseException:
            self.__exit__()
            raise

    def _listens(self):
        if self.process.poll() is not None:
            self.output.seek(0)
            said = self.output.read().decode(errors="replace")[-500:]
            raise Skip(f"{self.program} ended with {self.process.returncode}: {said}")
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
        self.folder.cleanup()


def apache_modules():
    folder = next((f for f in ("/usr/lib/apache2/modules", "/usr/lib/httpd/modules",
                               "/usr/lib64/httpd/modules") if os.path.isdir(f)), "modules")
    names = [n for n in ("mpm_event", "authz_core", "unixd")
             if os.path.exists(os.path.join(folder, f"mod_{n}.so"))]
    return "\n".join(f"LoadModule {n}_module {folder}/mod_{n}.so" for n in names)


def nginx():
    return Program("nginx", NGINX, "-c", "{conf}", "-p", "{folder}", "-e", "stderr")


def haproxy():
    return Program("haproxy", HAPROXY, "-f", "{conf}", "-db")


def lighttpd():
    return Program("lighttpd", LIGHTTPD, "-D", "-f", "{conf}")


def apache2():
    return Program("apache2", APACHE, "-DFOREGROUND", "-f", "{conf}")


def node():
    return Program("node", NODE, "{conf}")


class Paths(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece

    def do_GET(self):  # pylint: disable=invalid-name
        self.answer()

    def do_POST(self):  # pylint: disable=invalid-name
        if self.headers["Content-Length"]:
            self.rfile.read(int(self.headers["Content-Length"]))
        elif self.headers["Transfer-Encoding"]:
            self.close_connection = True  # it cannot read chunks
        self.answer()

    def answer(self):
        body = self.path.encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class PythonServer:
    def __init__(self):
        self.server = Server((HOST, 0), Paths)
        self.address = self.server.server_address
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


SERVERS = {"nginx": nginx, "haproxy": haproxy, "lighttpd": lighttpd, "apache2": apache2,
           "node": node, "python": PythonServer}
