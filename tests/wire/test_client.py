"""Another language's client, with proto/README.md as its only guide, against the running processes."""
import os
import pathlib
import re
import time
import uuid

import msgpack
import pytest
import zmq

from client import Client, RpcError

VAR = pathlib.Path(os.environ["BUSI_TEST_VAR"])
ROOT = pathlib.Path(__file__).resolve().parents[2]
PORTS = dict(line.split("=") for line in (VAR / "ports").read_text().split())


def connect(service, own="gateway.key"):
    key = VAR / "keys" / own if own else None
    return Client(f"tcp://127.0.0.1:{PORTS[service + '-1']}", key, VAR / "keys" / "servers" / f"{service}-svc.pub")


@pytest.fixture
def auth():
    client = connect("auth")
    yield client
    client.close()


@pytest.fixture
def directory():
    client = connect("directory")
    yield client
    client.close()


def new_email():
    return f"wire-{uuid.uuid4().hex}@example.com"


def test_it_signs_in_and_reads_a_business(auth, directory):
    email = new_email()
    made = auth.call("auth.SignUp", {1: "busi", 2: email, 3: "correct horse"}, timeout_ms=5000)
    session = auth.call("auth.SignIn", {1: "busi", 2: email, 3: "correct horse"}, timeout_ms=5000)
    assert session[1] == made[1] and session[3] == email
    principal = auth.call("auth.CheckToken", {1: session[5]})
    assert principal[1] == session[1] and principal[2] == session[2] and principal[3] == "busi"
    business = directory.call("directory.CreateBusiness", {2: "Café 9", 3: "Short description", 4: "IT, Software"},
                              user_id=session[1], request_id="wire-test.1", idempotency_key=uuid.uuid4().hex)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", business[5])
    assert directory.call("directory.GetBusiness", {1: business[1]}) == business
    assert business[2] == "Café 9" and business[6] == session[1]


def test_refusals_have_a_code_and_say_which_field(auth, directory):
    with pytest.raises(RpcError) as refused:
        directory.call("directory.CreateBusiness", {2: "", 3: "d", 4: "t"}, user_id=1)
    assert refused.value.code == "INVALID_ARGUMENT" and ("name", 1, None) in refused.value.violations
    with pytest.raises(RpcError) as unknown:
        directory.call("directory.GetBusiness", {1: 2**40})
    assert unknown.value.code == "NOT_FOUND"
    with pytest.raises(RpcError) as token:
        auth.call("auth.CheckToken", {1: "not a token"})
    assert token.value.code == "UNAUTHENTICATED"
    with pytest.raises(RpcError) as method:
        auth.call("directory.GetBusiness", {1: 1})
    assert method.value.code == "UNIMPLEMENTED"
    with pytest.raises(RpcError) as body:
        auth.call("auth.CheckToken", {})
    assert body.value.code == "INVALID_ARGUMENT"


def test_health(auth):
    health = auth.call("rpc.Health")
    assert health[1] == "auth" and health[3] is True and health[4] is False and health[6] is True
    watch = auth.watch()
    assert {1: health[1], 3: True, 4: False}.items() <= next(watch).items()
    watch.close()
    assert auth.call("rpc.Health")[1] == "auth"
    began = time.monotonic()
    assert len(list(auth.watch(lasts_ms=300))) == 1 and 0.25 < time.monotonic() - began < 2


def rows_of_messages():
    """name -> {number: (field, type, required, limit, message)}, as proto/messages.def has them."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "proto/messages.def").read_text(), flags=re.S)
    messages = {}
    for name, body in re.findall(r"^MESSAGE\((\w+)\)(.*?)^END", text, re.S | re.M):
        messages[name] = {}
        for kind, words in re.findall(r"(FIELD|LIST|NESTED)\((.*?)\)", body):
            number, field, *rest = re.split(r",\s*", words)
            messages[name][int(number)] = {"FIELD": lambda type, limit, need: (field, type, need == "REQUIRED", int(limit), None),
                                           "LIST": lambda sub, most: (field, "LIST", False, int(most), sub),
                                           "NESTED": lambda sub, need: (field, "NESTED", need == "REQUIRED", 0, sub)}[kind](*rest)
    return messages


@pytest.mark.parametrize("service", ["auth", "directory", "mailer"])
def test_a_worker_describes_what_it_speaks(service):
    client = connect(service, "auth-svc.key" if service == "mailer" else "gateway.key")
    described, health = client.call("rpc.Describe"), client.call("rpc.Health")
    client.close()
    rows = re.findall(r'^METHOD_(\w+)\(\w+, "([\w.]+)", (\w+), (\w+), (\w+), (\d+)\)', (ROOT / "proto/methods.def").read_text(), re.M)
    assert {method[1]: (method[2], method[3], method[4], method[5]) for method in described[1]} == {
        wire: (request, reply, retry == "IDEMPOTENT", int(ms)) for whose, wire, request, reply, retry, ms in rows
        if whose in (service.upper(), "COMMON")}
    messages = {message[1]: {field[1]: (field[2], field[3], field[4], field.get(5, 0), field.get(6)) for field in message.get(2, ())}
                for message in described[2]}
    of_rows = rows_of_messages()
    assert messages == {name: of_rows[name] for name in messages}
    used = {name for method in described[1] for name in (method[2], method[3])} | {"violation", "quota"}
    used |= {field[4] for fields in messages.values() for field in fields.values() if field[4]}
    assert used == set(messages)
    # and a message can be read by it alone
    readable = {messages["health_reply"][number][0]: value for number, value in health.items()}
    assert readable["service"] == service and readable["draining"] is False


def test_the_vectors_are_of_messages_that_are_described(auth):
    described = {message[1]: {field[1]: field[3] for field in message.get(2, ())} for message in auth.call("rpc.Describe")[2]}
    golden = dict(line.split() for line in (ROOT / "tests/wire/golden.txt").read_text().splitlines() if line and line[0] != "#")
    types = {"TEXT": str, "SECRET": str, "BYTES": bytes, "INT": int, "BOOL": bool, "TIME": int, "LIST": list, "NESTED": dict}
    for name, fields in described.items():
        message = msgpack.unpackb(bytes.fromhex(golden[name]), strict_map_key=False)
        assert {number: types[type] for number, type in fields.items()} == {number: type(value) for number, value in message.items()}, name


@pytest.mark.parametrize("own", ["mailer-svc.key", None])
def test_a_key_that_is_not_allowed_gets_no_connection(own):
    client = connect("auth", own)
    with pytest.raises(RpcError) as refused:
        client.call("rpc.Health", timeout_ms=800)
    assert refused.value.code == "UNAVAILABLE"
    client.close()


def test_the_guide_shows_real_bytes():
    """Every hex line of proto/README.md is one of the golden frames, and says what the text beside it says."""
    guide = (ROOT / "proto" / "README.md").read_text()
    golden = dict(line.split() for line in (ROOT / "tests/wire/golden_envelopes.txt").read_text().splitlines()
                  if line and not line.startswith("#"))
    shown = {name: re.sub(r"\s", "", bytes_) for name, bytes_ in re.findall(r"```hex (\w+)\n([0-9a-f\s]+)```", guide)}
    assert shown and all(golden[name] == bytes_ for name, bytes_ in shown.items())
    assert msgpack.unpackb(bytes.fromhex(golden["request_full"]), strict_map_key=False)[2] == "auth.CheckToken"
    for name, bytes_ in golden.items():
        assert msgpack.packb(msgpack.unpackb(bytes.fromhex(bytes_), strict_map_key=False)) == bytes.fromhex(bytes_), name


@pytest.fixture
def mute():
    """A worker that takes what it is sent, and answers nothing."""
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.linger, socket.rcvtimeo = 0, 3000
    socket.bind("tcp://127.0.0.1:*")
    yield socket
    socket.close()


def test_what_is_given_up_is_called_off_on_the_same_connection(mute):
    client = Client(mute.last_endpoint.decode().rstrip("\0"), None, None)
    try:
        with pytest.raises(RpcError) as late:
            client.call("directory.CreateBusiness", {2: "n", 3: "d", 4: "t"}, timeout_ms=200)
        assert late.value.code == "DEADLINE_EXCEEDED"
        (peer, call), (same, cancel) = mute.recv_multipart(), mute.recv_multipart()
        call, cancel = msgpack.unpackb(call, strict_map_key=False), msgpack.unpackb(cancel, strict_map_key=False)
        assert same == peer and 0 < call[4] <= 200
        assert cancel[2] == "rpc.Cancel" and cancel[9] == {1: call[3]} and cancel[3] != call[3]
        assert list(client.watch(lasts_ms=100)) == []
        watch, cancel = (msgpack.unpackb(mute.recv_multipart()[1], strict_map_key=False) for _ in range(2))
        assert watch[2] == "rpc.Watch" and cancel[2] == "rpc.Cancel" and cancel[9] == {1: watch[3]}
    finally:
        client.close()


def test_zeromq_is_new_enough():
    assert zmq.zmq_version_info() >= (4, 2) and zmq.has("curve")
