"""Another language's client, with proto/README.md as its only guide, against the running processes."""
import os
import pathlib
import re
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


def test_health_and_description(auth):
    health = auth.call("rpc.Health")
    assert health[1] == "auth" and health[3] is True and health[4] is False
    methods = {method[1]: method for method in auth.call("rpc.Describe")[1]}
    assert methods["auth.SignIn"][4] is False and methods["auth.CheckToken"][4] is True


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


def test_zeromq_is_new_enough():
    assert zmq.zmq_version_info() >= (4, 2) and zmq.has("curve")
