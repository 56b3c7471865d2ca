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
    for i in (1, 2):  # each worker reads its list now and then
        stack.wait_until(lambda: lets_in(f"auth-{i}", folder / "billing.key"), 5, f"auth-{i} lets it in")
    yield folder / "billing.key"
    admitted.unlink()


def lets_in(worker, key):
    client = Client(f"tcp://127.0.0.1:{stack.port(worker)}", key, stack.VAR / "keys/servers/auth-svc.pub")
    try:
        return client.call("rpc.Health", {}, timeout_ms=300)
    except RpcError:
        return False
    finally:
        client.close()


def endpoints():
    return ",".join(f"127.0.0.1:{stack.port(f'auth-{i}')}" for i in (1, 2))


@pytest.fixture(scope="module")
def compiled(installed):
    """An example in C, compiled as a user would: what to run, and in which environment."""
    pkgconfig = next(installed.rglob("busi.pc")).parent
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "busi"], env=os.environ | {"PKG_CONFIG_PATH": str(pkgconfig)}, check=True,
                           capture_output=True, text=True).stdout.split()
    library = next(installed.rglob("libbusi.so")).parent

    def compile(name):
        program = installed / name
        subprocess.run(["cc", "-std=gnu2x", "-Wall", "-Wextra", "-Werror", installed / f"share/busi/examples/{name}.c", *flags, "-o", program],
                       check=True)
        return program, os.environ | {"LD_LIBRARY_PATH": str(library)}
    return compile


@pytest.fixture(scope="module")
def check_token(compiled, key):
    """The example as a function of a token."""
    program, env = compiled("check_token")

    def run(token, own=key, at=None):
        return subprocess.run([program, at or endpoints(), stack.VAR / "keys/servers/auth-svc.pub", own], input=token + "\n", text=True,
                              capture_output=True, env=env, timeout=30)
    return run


def test_the_example_in_c(check_token):
    token = stack.sign_up(f"library{os.getpid()}@example.org")
    done = check_token(token)
    assert done.returncode == 0 and f"library{os.getpid()}@example.org" in done.stdout and done.stderr == "", done
    assert check_token(token[:-2] + "xx").stdout == "nobody's\n"
    stack.request("POST", "/logout", {}, headers={"access-token": token})
    assert check_token(token).returncode == 1


def test_it_says_what_is_wrong(check_token):
    assert "endpoints" in check_token("x", at="nonsense").stderr
    assert check_token("x", own="/no/such.key").stderr.strip()
    away = check_token("x", at="127.0.0.1:1")
    assert away.returncode == 2 and "127.0.0.1:1" in away.stderr


def test_who_watches_hears_of_each_change(compiled, key):
    program, env = compiled("watch_workers")
    workers = endpoints().split(",")
    watcher = subprocess.Popen([program, endpoints(), stack.VAR / "keys/servers/auth-svc.pub", key], env=env, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        assert {watcher.stdout.readline() for _ in workers} == {f"auth {worker}: serving\n" for worker in workers}
        stack.local("stop", "auth-2")
        stack.local("up")
        said = []
        while not said or said[-1] != "serving":
            worker, state = watcher.stdout.readline().removeprefix("auth ").strip().split(": ")
            assert worker == workers[1]
            said.append(state)
        assert [state for state in said if state != "not ready"] == ["draining", "gone", "serving"], said
    finally:
        watcher.stdin.close()
        assert watcher.wait(10) == 0


def test_the_example_in_python(installed, key):
    token = stack.sign_up(f"python{os.getpid()}@example.org")
    done = subprocess.run([installed / "share/busi/examples/check_token.py", f"tcp://127.0.0.1:{stack.port('auth-1')}", key,
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
