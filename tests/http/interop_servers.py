# SPDX-License-Identifier: MIT
"""Servers of other projects, each answering the path of a request: /c/0 to /c/9 with "/c/N"."""

import os
import tempfile

from http_peers import HOST  # which knows where harness and foreign are
from foreign import NGINX, Handler, Program, PythonServer
from harness import free_port, need

PAGES = 10

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
server.document-root = "{root}"
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
DocumentRoot {root}
<Directory {root}>
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


class Site(Program):
    """A server with the pages and its configuration in a folder of its own."""

    def __init__(self, name, text, *arguments):
        program, port = need(name), free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-http-")
        path = self.folder.name
        os.chmod(path, 0o755)
        os.makedirs(os.path.join(path, "www", "c"))
        for i in range(PAGES):
            with open(os.path.join(path, "www", "c", str(i)), "w", encoding="ascii") as f:
                f.write(f"/c/{i}")
        conf = os.path.join(path, "conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(text.format(folder=path, root=f"{path}/www", host=HOST, port=port,
                                modules=apache_modules(),
                                user="User www-data\nGroup www-data" if os.getuid() == 0 else ""))
        super().__init__(port, program, *[w.format(conf=conf, folder=path) for w in arguments])

    def __exit__(self, *_):
        super().__exit__()
        self.folder.cleanup()


def apache_modules():
    folder = next((f for f in ("/usr/lib/apache2/modules", "/usr/lib/httpd/modules",
                               "/usr/lib64/httpd/modules") if os.path.isdir(f)), "modules")
    names = [n for n in ("mpm_event", "authz_core", "unixd")
             if os.path.exists(os.path.join(folder, f"mod_{n}.so"))]
    return "\n".join(f"LoadModule {n}_module {folder}/mod_{n}.so" for n in names)


def nginx():
    return Site("nginx", NGINX, "-c", "{conf}", "-p", "{folder}", "-e", "stderr")


def haproxy():
    return Site("haproxy", HAPROXY, "-f", "{conf}", "-db")


def lighttpd():
    return Site("lighttpd", LIGHTTPD, "-D", "-f", "{conf}")


def apache2():
    return Site("apache2", APACHE, "-DFOREGROUND", "-f", "{conf}")


def node():
    return Site("node", NODE, "{conf}")


class Paths(Handler):
    def do_GET(self):  # pylint: disable=invalid-name
        self.answer(self.path.encode("latin-1"))

    def do_POST(self):  # pylint: disable=invalid-name
        if self.headers["Content-Length"]:
            self.rfile.read(int(self.headers["Content-Length"]))
        elif self.headers["Transfer-Encoding"]:
            self.close_connection = True  # it cannot read chunks
        self.do_GET()


def python():
    return PythonServer(Paths)


SERVERS = {"nginx": nginx, "haproxy": haproxy, "lighttpd": lighttpd, "apache2": apache2,
           "node": node, "python": python}
