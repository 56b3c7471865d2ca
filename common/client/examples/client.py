"""A client of the internal protocol, written from proto/README.md alone. Needs pyzmq and msgpack.

    auth = Client("tcp://127.0.0.1:5001", "gateway.key", "auth-svc.pub")
    session = auth.call("auth.SignIn", {1: "busi", 2: "ada@example.com", 3: "correct horse"})
"""
import contextlib
import itertools
import time

import msgpack
import zmq
import zmq.auth

CODES = dict(enumerate("OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED "
                       "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED".split()))
VERSION, METHOD, ID, BUDGET_MS, REQUEST_ID, TRACEPARENT, USER_ID, IDEMPOTENCY_KEY, BODY = range(1, 10)
CODE, MESSAGE, VIOLATIONS, RETRY_AFTER_MS, DRAINING = range(10, 15)
REMOTE_ADDR, USER_AGENT, LANGUAGE, QUOTA = range(15, 19)
MOST_BYTES = 2 * 1024 * 1024  # of a request


class RpcError(Exception):
    def __init__(self, code, message="", violations=(), retry_after_ms=0, quota=None):
        super().__init__(f"{CODES.get(code, code)} {message}".strip())
        self.code, self.message, self.retry_after_ms = CODES.get(code, str(code)), message, retry_after_ms
        self.quota = quota and (quota[1], quota[2], quota[3], quota[4])  # (limit, window_ms, remaining, reset_ms)
        self.violations = [(v[1], v[2], v.get(3)) for v in violations]  # (field, rule, limit)


class Client:
    """One worker. Not for use by several threads at once."""

    def __init__(self, endpoint, own_certificate, server_certificate):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.IMMEDIATE, 1)  # no queue for a worker that is not there
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 500)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 1500)
        if own_certificate:
            self.socket.curve_publickey, self.socket.curve_secretkey = zmq.auth.load_certificate(str(own_certificate))
            self.socket.curve_serverkey, _ = zmq.auth.load_certificate(str(server_certificate))
        self.socket.connect(endpoint)
        self.ids = itertools.count(1)
        self.draining = False  # the worker asked for no new calls

    def send(self, method, body, timeout_ms, user_id=0, request_id=None, idempotency_key=None, remote_addr=None):
        """Its id, and until when to wait."""
        number, until = next(self.ids), time.monotonic() + timeout_ms / 1000
        if not self.socket.poll(timeout_ms, zmq.POLLOUT):
            raise RpcError(14, "no worker, or it does not let this key in")
        left_ms = max(1, round((until - time.monotonic()) * 1000))  # the worker is told what is left
        request = {VERSION: 1, METHOD: method, ID: number, BUDGET_MS: left_ms, REQUEST_ID: request_id,
                   USER_ID: user_id or None, IDEMPOTENCY_KEY: idempotency_key, REMOTE_ADDR: remote_addr, BODY: body or {}}
        frame = msgpack.packb({key: value for key, value in request.items() if value is not None})
        if len(frame) > MOST_BYTES:
            raise RpcError(3, "the request is too large")  # sent, it would end the connection
        self.socket.send(frame)
        return number, until

    def answers(self, number, until):
        """Each body that comes under this id, a dict by field number; RpcError for a refusal."""
        while (left := until - time.monotonic()) > 0 and self.socket.poll(left * 1000):
            reply = msgpack.unpackb(self.socket.recv(), strict_map_key=False)
            if reply[VERSION] != 1:
                continue
            if reply[ID] == 0:
                self.draining = reply.get(DRAINING, False)
            if reply[ID] == number:  # else the late answer of an earlier call
                if reply[CODE] != 0:
                    raise RpcError(reply[CODE], reply.get(MESSAGE, ""), reply.get(VIOLATIONS, ()), reply.get(RETRY_AFTER_MS, 0),
                                   reply.get(QUOTA))
                yield reply[BODY]

    def call(self, method, body=None, timeout_ms=2000, **more):
        """The reply's body; RpcError otherwise."""
        number, until = self.send(method, body, timeout_ms, **more)
        for reply in self.answers(number, until):
            return reply
        self.give_up(number)
        raise RpcError(4, "no answer in time")

    def give_up(self, number):
        """Else a worker that stands still might do it when it goes on, whatever has been done elsewhere by then."""
        cancel = {VERSION: 1, METHOD: "rpc.Cancel", ID: next(self.ids), BUDGET_MS: 1000, BODY: {1: number}}
        with contextlib.suppress(zmq.Again):  # the connection has ended, and so has the call
            self.socket.send(msgpack.packb(cancel), zmq.DONTWAIT)

    def watch(self, lasts_ms=30000):
        """What rpc.Health would say, now and at each change. No calls meanwhile; break or close() ends it."""
        number, until = self.send("rpc.Watch", {}, lasts_ms)
        try:
            yield from self.answers(number, until)
        finally:
            self.give_up(number)

    def close(self):
        self.socket.close()
