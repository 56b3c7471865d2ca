"""Something between clients and a gateway that lies, and a relay that does: real bugs for the whole harness to find."""
import contextlib, http.client, http.server, itertools, json, random, threading, time

HOP = {"connection", "content-length", "transfer-encoding", "keep-alive", "date"}


class Liar(http.server.ThreadingHTTPServer):
    """Passes requests on to a gateway. The first of a kind and one in three after it are answered with a lie; what each is worth:

    lose       I1  a change is said to be done and is not       do        I2  it is said to be refused and is done
    twice      I2  a creation is sent twice                     revive    I3  a token that was good once is good for ever (I11, too)
    reuse      I4  a used secret is said to have worked again   again     I6  an address that is taken is given once more
    cross      I7  two get each other's answers                 deny      I8  a good token is called bad
    delay      I9  an answer comes too late                     fail      I10 503 for no reason (and while something else is broken: I13)
    write      I12 a token is written into a log"""
    daemon_threads = True

    def __init__(self, port, log):
        super().__init__(("127.0.0.1", 0), Handler)
        self.gateway, self.log, self.random, self.lock = port, log, random.Random(1), threading.Lock()
        self.good, self.told, self.last = {}, set(), None

    @property
    def port(self):
        return self.server_address[1]

    def now_and_then(self, lie, share=1 / 3):
        """Always the first time: a run is to have told each."""
        with self.lock:
            if lie not in self.told or self.random.random() < share:
                self.told.add(lie)
                return True
        return False

    def pass_on(self, method, path, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway, timeout=12)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return [answer.status, [pair for pair in answer.getheaders() if pair[0].lower() not in HOP], answer.read()]
        except (OSError, http.client.HTTPException):
            return [503, [], b""]
        finally:
            connection.close()

    def exchange(self, answer):
        """What somebody else was told just before."""
        with self.lock:
            answer, self.last = self.last or answer, answer
        return answer

    # ---- what is said of a request ----
    def answer(self, method, path, headers, body):
        real = lambda: self.pass_on(method, path, headers, body)
        if method == "PATCH" and path.startswith("/api/businesses"):
            if self.now_and_then("lose"):
                return [200, [("X-Request-Id", headers["x-request-id"])], json.dumps({"data": json.loads(body)["business"]}).encode()]
            return [422, *real()[1:]] if self.now_and_then("do") else real()
        if method == "POST" and path == "/api/businesses" and self.now_and_then("twice"):
            real()
        if path == "/" and self.now_and_then("delay", 0.1):
            time.sleep(3.8)
            return real()
        if path == "/" and self.now_and_then("fail", 0.8):
            return [503, [("X-Request-Id", headers["x-request-id"])], b""]
        if path == "/check":
            return self.check(headers, real())
        if path in ("/confirm", "/register"):
            return self.remembered("reuse" if path == "/confirm" else "again", self.key(path, body), real(), 400)
        return real()

    def key(self, path, body):
        said = json.loads(body)
        return said.get("confirm_id") or said["email"].lower()

    def remembered(self, lie, key, answer, refused):
        if answer[0] == 200:
            self.good[key] = answer[2]
        elif answer[0] == refused and key in self.good and self.now_and_then(lie):
            return [200, answer[1], self.good[key]]
        return answer

    def check(self, headers, answer):
        token = headers.get("authorization", "")
        if answer[0] == 200 and self.now_and_then("write"):
            self.log.write(f'{{"level":"debug","header":"{token}"}}\n')
            self.log.flush()
        answer = self.remembered("revive", token, answer, 401)
        if answer[0] == 200 and self.now_and_then("deny"):
            return [401, answer[1], b'{"error":"unauthorized"}']
        return self.exchange(answer) if answer[0] == 200 and self.now_and_then("cross") else answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in HOP | {"host"}}
        status, pairs, data = self.server.answer(self.command, self.path, headers, body)
        self.send_response_only(status)
        for name, value in pairs:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do

    def log_message(self, *unused):
        pass


@contextlib.contextmanager
def forgetful(sink):
    """I5: the relay says 250 and keeps every third mail for itself."""
    keep, numbers = sink.keep, itertools.count(1)
    sink.keep = lambda session, envelope: next(numbers) % 3 and keep(session, envelope)
    try:
        yield
    finally:
        sink.keep = keep
