"""One client's way to the gateways: a request, and the record of it."""
import http.client, json, secrets, threading, time
from history import S

NORMAL, PASSWORD = 3, 5  # seconds: the gateway's deadlines
MOST_WAIT_S = 3          # that a 503 may ask for
KEPT_S = 1.5             # a connection that was idle for longer may just be closed by the other side


class Stalls:
    """How late this process itself is: what it measures while it was is not the house's fault."""

    def __init__(self, history):
        self.history, self.late, self.over = history, [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.over.is_set():
            before = time.monotonic()
            time.sleep(0.02)
            if (late := time.monotonic() - before - 0.02) > 0.03:
                self.late.append((self.history.now(), late))

    def within(self, begin, end):
        """Seconds; only what passes a tenth of a second is worth the look."""
        return sum(late for moment, late in self.late[-200:] if begin <= moment <= end + S) if end - begin > S // 10 else 0

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()


class Answer:
    """What came back, and a place for what is worth keeping of it."""

    def __init__(self, status, body, invoke, end, echo, bare=None):
        self.status, self.body, self.invoke, self.end, self.echo, self.bare = status, body, invoke, end, echo, bare

    @property
    def outcome(self):
        """429 is none that anybody should get: no limit is near here."""
        return "ok" if 200 <= self.status < 300 else "fail" if 400 <= self.status < 500 and self.status != 429 else "unknown"

    @property
    def ok(self):
        return self.outcome == "ok"

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Asker:
    """Not for several threads at once."""

    def __init__(self, name, history, stalls, targets):
        self.name, self.history, self.stalls, self.targets = name, history, stalls, targets
        self.kept = {}  # target: (connection, when it was last used)

    def connection(self, target):
        connection, used = self.kept.pop(target, (None, 0))
        if connection and time.monotonic() - used < KEPT_S:
            return connection
        if connection:
            connection.close()
        return http.client.HTTPConnection("127.0.0.1", self.targets[target], timeout=12)

    def ask(self, target, method, path, body=None, headers=None):
        id = secrets.token_hex(8)
        headers = {"x-request-id": id, "accept": "application/json"} | (headers or {})
        if body is not None:
            headers["content-type"] = "application/json"
        connection, begin = self.connection(target), self.history.now()
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            raw, end = answer.read(), self.history.now()
        except (OSError, http.client.HTTPException):
            connection.close()
            return Answer(0, b"", begin, self.history.now(), None)
        echo = answer.getheader("x-request-id")
        cut = not echo or echo != id and id.startswith(echo) or answer.status != 204 and answer.getheader("content-length") is None
        if cut:  # a head that ends too early looks like one
            connection.close()
            return Answer(0, b"", begin, end, None)
        if answer.will_close:
            connection.close()
        else:
            self.kept[target] = connection, time.monotonic()
        bare = answer.status == 503 and not 1 <= int(answer.getheader("retry-after") or 0) <= MOST_WAIT_S
        return Answer(answer.status, raw, begin, end, echo == id, bare or None)

    def keep(self, op, target, answer, deadline, args=(), **fields):
        """Records it; fields: those of history.py that this operation has."""
        stall = self.stalls.within(answer.invoke, answer.end)
        return self.history.add("op", client=self.name, op=op, target=target, args=self.history.hash(op, *args), invoke=answer.invoke,
                                **{"return": answer.end}, outcome=answer.outcome, status=answer.status, echo=answer.echo, bare=answer.bare,
                                deadline=deadline, stall=round(stall, 3) if stall else None, **fields)

    def close(self):
        for connection, _ in self.kept.values():
            connection.close()
        self.kept.clear()
