"""Programs of others: the installed library and its examples in C and Python, with a key that may do one thing."""
import os, pathlib, subprocess, sys
import pytest
import stack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
from client import Client, RpcError

BUILD = pathlib.Path(os.environ["BUSI_TEST_BIN"]).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    target = tmp_path_factory.mktemp("installed")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", target], check=True, capture_output=True, timeout=60)
    return target


@pytest.fixture(scope="module")
def key():
    """A key of our own that may check tokens and nothing else, admitted by auth-svc."""
    folder = stack.VAR / "keys/others"
    folder.mkdir(exist_ok=True)
    if not (folder / "billing.key").exists():
        subprocess.run([BUILD / "bin/gateway", "gen-keys", folder, "billing", "auth.CheckToken"], check=True)
    admitted = stack.VAR / "keys/allow/auth-svc/billing.pub"
    admitted.write_bytes((folder / "billing.pub").read_bytes())
    yield folder / "billing.key"
    admitted.unlink()


def endpoints():
    return ",".join(f"127.0.0.1:{stack.port(f'auth-{i}')}" for i in (1, 2))


@pytest.fixture(scope="module")
def check_token(installed, key):
    """The example in C, compiled as a user would, as a function of a token."""
    pkgconfig = next(installed.rglob("busi.pc")).parent
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "busi"], env=os.environ | {"PKG_CONFIG_PATH": str(pkgconfig)}, check=True,
                           capture_output=True, text=True).stdout.split()
    program = installed / "check_token"
    subprocess.run(["cc", "-std=gnu2x", "-Wall", "-Wextra", "-Werror", installed / "share/busi/examples/check_token.c", *flags, "-o", program],
                   check=True)
    library = next(installed.rglob("libbusi.so")).parent

    def run(token, own=key, at=None):
        return subprocess.run([program, at or endpoints(), stack.VAR / "keys/servers/auth-svc.pub", own], input=token + "\n", text=True,
                              capture_output=True, env=os.environ | {"LD_LIBRARY_PATH": str(library)}, timeout=30)
    return run


def test_the_example_in_c(check_token):
    token = stack.sign_up(f"library{os.getpid()}@example.org")
    done = check_token(token)
    assert done.returncode == 0 and f"library{os.getpid()}@example.org" in done.stdout, done
    assert check_token(token[:-2] + "xx").stdout == "nobody's\n"
    stack.request("POST", "/logout", {}, headers={"access-token": token})
    assert check_token(token).returncode == 1


def test_it_says_what_is_wrong(check_token):
    assert "endpoints" in check_token("x", at="nonsense").stderr
    assert check_token("x", own="/no/such.key").stderr.strip()
    assert check_token("x", at="127.0.0.1:1").returncode == 2


def test_the_example_in_python(installed, key):
    token = stack.sign_up(f"python{os.getpid()}@example.org")
    done = subprocess.run(["/usr/bin/python3", installed / "share/busi/examples/check_token.py", f"tcp://127.0.0.1:{stack.port('auth-1')}", key,
                           stack.VAR / "keys/servers/auth-svc.pub"], input=token + "\n", text=True, capture_output=True, timeout=30)
    assert done.returncode == 0 and f"python{os.getpid()}@example.org" in done.stdout, done


def test_a_key_may_do_what_its_certificate_says_and_nothing_else(key):
    auth = Client(f"tcp://127.0.0.1:{stack.port('auth-1')}", key, stack.VAR / "keys/servers/auth-svc.pub")
    try:
        assert auth.call("rpc.Health", {})
        with pytest.raises(RpcError) as error:
            auth.call("auth.CheckToken", {1: "nonsense"})
        assert error.value.code == "UNAUTHENTICATED"
        for method, body in [("auth.IssueToken", {1: "busi", 2: 1}), ("auth.SignIn", {1: "busi", 2: "a@b.example", 3: "x"}),
                             ("auth.GrantRole", {1: "root", 2: 1}), ("auth.DeleteUser", {1: 1})]:
            with pytest.raises(RpcError) as error:
                auth.call(method, body)
            assert error.value.code == "PERMISSION_DENIED", method
    finally:
        auth.close()


def test_vectors_are_installed(installed):
    vectors = {line.split()[0] for line in (installed / "share/busi/vectors/golden.txt").read_text().splitlines() if line[:1] != "#"}
    assert {"principal", "check_token_request", "business"} <= vectors
