"""M-34: a service that is let in for one thing says it acts for a user, has roles, or is somebody else. What it may do stands in its certificate,
and nothing that it says of itself adds to that."""
import os, subprocess, sys, time

import msgpack
import pytest
import zmq

from house import *

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
from client import Client, RpcError
from second import second


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A client of auth-svc and of directory-svc whose certificate names one method of each."""
    folder = tmp_path_factory.mktemp("keys")
    subprocess.run([os.environ["BUSI_TEST_BIN"] + "/gateway", "gen-keys", folder, "reporting", "auth.CheckToken, directory.GetBusiness"], check=True, capture_output=True)
    admitted = [VAR / f"keys/allow/{service}-svc/reporting.pub" for service in ("auth", "directory")]
    for path in admitted:
        path.write_bytes((folder / "reporting.pub").read_bytes())
    time.sleep(0.3)  # within which it counts
    clients = {service: Client(f"tcp://127.0.0.1:{port(service + '-1')}", folder / "reporting.key", VAR / f"keys/servers/{service}-svc.pub") for service in ("auth", "directory")}
    yield clients
    for client in clients.values():
        client.close()
    for path in admitted:
        path.unlink()


def ask_frame(client, request):
    """The reply's code and body to a frame made by hand."""
    client.socket.send(msgpack.packb(request))
    end = time.monotonic() + 5
    while time.monotonic() < end and client.socket.poll(1000):
        reply = msgpack.unpackb(client.socket.recv(), strict_map_key=False)
        if reply[3] == request[3]:
            return reply.get(10), reply.get(9)
    return None, None


CLAIMS = [{}, {7: 1}, {7: 2**62}, {21: "root"}, {30: ["root", "admin"]}, {31: {"role": "root"}}, {22: "gateway"}, {40: True, 7: 1}]
FORBIDDEN = {"auth": [("auth.IssueToken", {1: "busi", 2: 1}), ("auth.GrantRole", {1: "root", 2: 1}), ("auth.DeleteUser", {1: 1}), ("auth.ListUsers", {}), ("auth.SignOut", {1: "x"})],
             "directory": [("directory.CreateBusiness", {2: "n", 3: "d", 4: "t"}), ("directory.DeleteBusiness", {1: 1}), ("directory.UpdateBusiness", {1: 1, 2: "n"}),
                           ("directory.ListBusinesses", {})]}


@pytest.mark.parametrize("claims", CLAIMS)
def test_m34_nothing_it_says_of_itself_lets_it_do_more(limited, claims):
    for service, methods in FORBIDDEN.items():
        for n, (method, body) in enumerate(methods, 1000):
            for more in (body, body | {90: "root", 91: {1: "root"}}):
                code, _ = ask_frame(limited[service], {1: 1, 2: method, 3: n, 4: 2000, **claims, 9: more})
                assert code in (7, 12), (method, claims, code)  # PERMISSION_DENIED; or there is no such method


def test_m34_and_what_it_may_do_it_does_as_it_is(limited, business, token):
    user_id = int(claims_of(token)["sub"])
    assert limited["directory"].call("directory.GetBusiness", {1: business["id"]})[1] == business["id"]
    assert limited["auth"].call("auth.CheckToken", {1: token})[1] == user_id
    for claims in CLAIMS:
        code, body = ask_frame(limited["auth"], {1: 1, 2: "auth.CheckToken", 3: 77, 4: 2000, **claims, 9: {1: token, 90: 1, 91: "root"}})
        assert code == 0 and body[1] == user_id and not body.get(12) or code == 0 and "root" not in str(body), (claims, body)


def test_m34_a_stranger_says_nothing_at_all(tmp_path):
    subprocess.run([os.environ["BUSI_TEST_BIN"] + "/gateway", "gen-keys", tmp_path, "gateway"], check=True, capture_output=True)  # only the name is the gateway's
    client = Client(f"tcp://127.0.0.1:{port('auth-1')}", tmp_path / "gateway.key", VAR / "keys/servers/auth-svc.pub")
    with pytest.raises(RpcError, match="UNAVAILABLE|DEADLINE"):
        client.call("auth.IssueToken", {1: "busi", 2: 1}, timeout_ms=1200)
    assert not client.socket.poll(200, zmq.POLLIN)
    client.close()


def test_what_a_gateway_may_not_ask_is_no_verdict_on_its_clients(tmp_path, token):
    """Its certificate is half written, or gone: no good token is called bad, and no session is said to be ended that lives on."""
    admitted = tmp_path / "allow/gateway.pub"
    admitted.parent.mkdir()
    whole = (VAR / "keys/gateway.pub").read_bytes()
    admitted.write_bytes(whole)
    token = sign_up()
    with second("auth-1", tmp_path, curve_allow_dir=admitted.parent) as auth, \
            another_gateway(tmp_path, auth_endpoints=auth.endpoint, session_cache=0) as at:
        def status(path, method="GET"):
            answer = ask(method, path, token=token, headers={"access-token": token}, at=at)
            assert (answer.headers["retry-after"] is None) == (answer.status != 503), answer
            return answer.status

        def until(wanted):
            end = time.monotonic() + 10
            while status("/api/businesses?limit=1") != wanted:
                assert time.monotonic() < end
                time.sleep(0.1)

        until(200)
        admitted.write_bytes(whole[:100])
        time.sleep(2.3)
        asked = [("/api/businesses?limit=1", "GET"), ("/check", "GET"), ("/logout", "POST"), ("/sign-out", "GET"),
                 ("/magic/system/auth/verify-ticket", "GET"), ("/magic/system/auth/logout", "POST")]
        assert {path: status(path, method) for path, method in asked} == {path: 503 for path, _ in asked}
        admitted.write_bytes(whole)
        until(200)
