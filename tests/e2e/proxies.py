"""Real proxies in front of the gateway, each with a port and a folder of its own. A proxy gives each request it forwards an id of its
making, which it also writes to its log and beside the answer's own: so it is known who read which requests, and whose answer came."""
import collections, http.client, re, socket, subprocess, time
from raw import HOST, PORT

Request = collections.namedtuple("Request", "id forwarded status line")


class Proxy:
    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as sock:
            sock.bind((HOST, 0))
            self.address = sock.getsockname()
        (folder / "conf").write_text(self.conf % {"folder": folder, "listen": "%s:%d" % self.address, "gateway": f"{HOST}:{PORT}"})
        self.start()

    def start(self):
        with open(self.folder / "output", "a") as output:
            self.process = subprocess.Popen([*self.command, self.folder / "conf"], stdout=output, stderr=output, cwd=self.folder)
        end = time.monotonic() + 5
        while not self.listens():
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "output").read_text()
            time.sleep(0.02)

    def listens(self):
        try:
            self.connect().close()
            return True
        except ConnectionRefusedError:
            return False

    def connect(self):
        return socket.create_connection(self.address, timeout=8)

    def http(self):
        return http.client.HTTPConnection(*self.address, timeout=8)

    def requests(self):
        """What it has read so far."""
        lines = re.findall(r"^REQUEST (\w+) (\S+) (\d+) (.*)", (self.folder / self.log).read_text(errors="replace"), re.M)
        return [Request(i, to not in ("-", "<NOSRV>"), int(status), line) for i, to, status, line in lines]

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Nginx(Proxy):
    command, log = ["nginx", "-e", "errors", "-c"], "requests"
    conf = """
daemon off;
master_process off;
pid %(folder)s/pid;
error_log %(folder)s/errors;
events { worker_connections 512; }
http {
    client_body_temp_path %(folder)s/bodies; proxy_temp_path %(folder)s/answers;
    fastcgi_temp_path %(folder)s/f; uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
    log_format ids 'REQUEST $request_id $upstream_addr $status $request';
    access_log %(folder)s/requests ids;
    upstream gateway { server %(gateway)s; keepalive 4; keepalive_timeout 1s; }
    client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout 1s;
    proxy_next_upstream off;
    server {
        listen %(listen)s;
        location / {
            proxy_pass http://gateway;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Request-Id $request_id;
            proxy_ignore_client_abort on;
            add_header X-Forwarded-Id $request_id always;
        }
    }
}
"""


class Haproxy(Proxy):
    command, log = ["haproxy", "-db", "-f"], "output"
    conf = """
global
    nbthread 1 # of two threads that log at once, one drops its line
    log stdout format raw local0
defaults
    mode http
    timeout connect 2s
    timeout client 1s
    timeout server 15s
    timeout http-request 1s
    timeout http-keep-alive 1s
    retries 0
frontend clients
    bind %(listen)s
    log global
    unique-id-format %%{+X}o%%pid%%rt%%Ts%%cp
    unique-id-header X-Request-Id
    log-format "REQUEST %%ID %%s %%ST %%r"
    http-request del-header X-Request-Id
    http-response set-header X-Forwarded-Id %%[unique-id]
    default_backend gateway
backend gateway
    http-reuse always
    server gateway %(gateway)s pool-purge-delay 500ms
"""
