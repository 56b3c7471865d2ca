"""A service that listens to accounts, written from proto/README.md alone: it serves hooks.Handle. Needs pyzmq and msgpack.

    risk = Subscriber("risk.key", "folder of allowed clients", lambda event, key: {1: event[5].endswith("@evil.example")})

pyzmq takes the public keys of allowed clients from the *.key files of that folder.
"""
import threading

import msgpack
import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

VERSION, METHOD, ID, _, _, _, _, IDEMPOTENCY_KEY, BODY, CODE = range(1, 11)


class Subscriber:
    """handle(event, idempotency key) -> the hook_reply, both dicts by field number. Runs on a thread of its own."""

    def __init__(self, own_certificate, allowed_clients, handle, endpoint="tcp://127.0.0.1:*"):
        self.handle, self.stopping = handle, threading.Event()
        self.context = zmq.Context()
        self.authenticator = ThreadAuthenticator(self.context)
        self.authenticator.start()
        self.authenticator.configure_curve(domain="hooks", location=str(allowed_clients))
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.zap_domain = b"hooks"
        self.socket.curve_server = True
        self.socket.curve_publickey, self.socket.curve_secretkey = zmq.auth.load_certificate(str(own_certificate))
        self.socket.bind(endpoint)
        self.endpoint = self.socket.last_endpoint.decode().rstrip("\0").removeprefix("tcp://")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def answer(self, request):
        if request[METHOD] == "rpc.Health":  # service, version, ready, draining, in flight
            return {1: "hooks", 2: "1", 3: True, 4: False, 5: 0}
        if request[METHOD] == "hooks.Handle":
            return self.handle(request[BODY], request.get(IDEMPOTENCY_KEY))
        return None

    def serve(self):
        while not self.stopping.is_set():
            if not self.socket.poll(50):
                continue
            peer, frame = self.socket.recv_multipart()
            request = msgpack.unpackb(frame, strict_map_key=False)
            try:
                reply = self.answer(request)
                code = {CODE: 0, BODY: reply} if reply is not None else {CODE: 12}
            except Exception as error:
                code = {CODE: 13, 11: type(error).__name__}
            self.socket.send_multipart([peer, msgpack.packb({VERSION: 1, ID: request[ID], **code})])

    def close(self):
        self.stopping.set()
        self.thread.join()
        self.socket.close()
        self.authenticator.stop()
        self.context.term()
