"""The image is built, and the pods of the dev overlay run from it under podman: three directory workers behind one name."""
import collections, http.client, json, os, pathlib, re, shutil, subprocess, threading, time, urllib.error, urllib.request
import pytest
import kustomize
from cluster import PROCESSES, ROOT, Cluster, version
from podman import Podman

VAR = ROOT / "tests/var/containers"
IMAGE = f"localhost/busi:{version()}"
WORKERS = ["directory-1", "directory-2", "directory-3"]
PODS = ["gateway", "auth", "mailer", *WORKERS]


def build(podman, *words, timeout=1100):
    return subprocess.run([ROOT / "deploy/image/build", *words], env=podman.env, text=True, capture_output=True, timeout=timeout)


@pytest.fixture(scope="session")
def podman():
    podman = Podman(VAR, f"busi-test-{os.getpid()}")
    try:
        whole = os.environ.get("BUSI_TEST_IMAGE") == "whole"  # compile in the first stage, too: some minutes
        for words in (["--stores"], [] if whole else ["--binaries", os.environ["BUSI_TEST_BIN"]]):
            done = build(podman, *words)
            assert done.returncode == 0, done.stdout + done.stderr
        done = podman("run", "--rm", "--network", "none", IMAGE, "gateway", "--version", check=False)
        assert done.stdout == f"gateway {version()}\n", f"podman cannot run containers on this machine: {done.stderr}"
        podman("network", "create", podman.network)
        yield podman
    finally:
        podman.close()


@pytest.fixture(scope="session")
def pods(podman, deploy, tmp_path_factory):
    """All of the dev overlay, started at once as by kubectl: whoever wants something waits until it is there."""
    folder = tmp_path_factory.mktemp("pods")
    folder.chmod(0o755)
    workloads = {workload.name: workload for workload in Cluster(kustomize.assemble(deploy / "overlays/dev")).workloads}
    for name in [*PODS, "postgres", "redis"]:
        podman.start(workloads[name.split("-")[0]], name, folder)
    migrate(podman, workloads, folder)
    for name in PODS:
        podman.wait(name)
    return folder, workloads


def migrate(podman, workloads, folder):
    for workload in workloads.values():
        if workload.kind == "Job":
            podman.job(workload, folder)


def ask(podman, method, path, body=None, token=None):
    """(status, JSON) of the gateway; 0: no answer."""
    request = urllib.request.Request(f"http://{ask.address}:4000{path}", json.dumps(body).encode() if body else None,
                                     {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {}),
                                     method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@pytest.fixture(scope="session")
def token(podman, pods):
    ask.address = podman.address("gateway")
    status, answer = ask(podman, "POST", "/api/users/signup", {"user": {"email": "ann@example.com", "password": "correct horse"}})
    assert status == 201, answer
    return answer["token"]


@pytest.fixture(scope="session")
def business(podman, token):
    status, answer = ask(podman, "POST", "/api/businesses", {"business": {"name": "Ann Ltd", "description": "Bicycles", "tag": "Retail"}}, token)
    assert status in (200, 201), answer
    return f"/api/businesses/{answer['data']['id']}"


def answered(podman, name):
    """Calls of the directory this worker has answered."""
    return sum(int(n) for n in re.findall(r'^busi_rpc_server_duration_total\{method="directory[^}]*\} (\d+)', podman.get(name, "/metrics")[1], re.M))


# ---- the image ----
def test_the_image_has_four_programs_and_no_other(podman):
    container = podman("create", IMAGE, "gateway")
    root = pathlib.Path(podman("mount", container))
    try:
        files = [path for path in root.rglob("*") if not path.is_symlink()]
        assert sorted(path.name for path in (root / "usr/bin").iterdir()) == sorted(PROCESSES)
        executable = [path for path in files if path.is_file() and path.stat().st_mode & 0o111 and ".so" not in path.name]
        assert sorted(path.name for path in executable) == sorted(PROCESSES)
        assert [path for path in files if path.stat().st_mode & 0o6002] == [], "set-user-id, or everybody's"
        assert sum(path.lstat().st_size for path in root.rglob("*")) < 40_000_000
        assert not (root / "bin").exists() and not list(root.rglob("ld.so.preload"))
        for path in (root / "var/lib/dpkg/status.d").iterdir():  # each package with its licence
            assert (root / f"usr/share/doc/{path.name}/copyright").stat().st_size > 0
    finally:
        podman("unmount", container)
        podman("rm", container)


@pytest.mark.parametrize("program", ["sh", "/bin/sh", "bash", "apt", "dpkg", "perl"])
def test_there_is_no_shell(podman, program):
    done = podman("run", "--rm", "--network", "none", "--entrypoint", program, IMAGE, check=False)
    assert done.returncode == 127, done


def test_an_image_that_grew_too_large_is_refused(podman):
    done = build(podman, "--binaries", os.environ["BUSI_TEST_BIN"], "--tag", "large", "--most", "30000000")
    assert done.returncode == 1 and "more than 30000 kB" in done.stderr, done
    assert podman("image", "exists", "localhost/busi:large", check=False).returncode == 1


# ---- the pods ----
def test_no_process_can_more_than_it_must(podman, pods):
    for name in [*PODS, "postgres", "redis"]:
        pid = podman.inspect(name)["State"]["Pid"]
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        assert status["Uid"].split() == ["10001"] * 4 and status["Gid"].split() == ["10001"] * 4, name
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", name
        [root] = [line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if line.split()[4] == "/"]
        assert "ro" in root[5].split(","), name


def test_an_account_a_business_and_a_mail(podman, pods, token, business):
    assert ask(podman, "GET", business, token=token)[0] == 200
    assert ask(podman, "GET", business, token="nonsense")[0] == 401
    status, answer = ask(podman, "POST", "/register", {"username": "zoë", "email": "zoe@example.com", "password": "correct horse",
                                                       "password_confirm": "correct horse"})
    assert status == 200, answer
    folder, until = pods[0] / "mailer/mail", time.monotonic() + 20
    while not any("zoe@example.com" in path.read_text() for path in folder.glob("*.eml")):
        assert time.monotonic() < until, "no mail to zoe@example.com"
        time.sleep(0.2)


def test_look_alike_letters_are_known(podman, token):
    """From the one table of ICU's data that the image keeps."""
    for name in ("аdmin", "рауpal"):  # Cyrillic a; er, a, u
        status, answer = ask(podman, "POST", "/register", {"username": name, "email": f"{len(name)}@example.com", "password": "correct horse",
                                                           "password_confirm": "correct horse"})
        assert status != 200 and "username" in str(answer), (name, status, answer)


def test_a_client_spreads_over_three_workers_of_one_name(podman, token, business):
    before = {name: answered(podman, name) for name in WORKERS}
    codes = collections.Counter(ask(podman, "GET", business, token=token)[0] for _ in range(900))
    assert codes == {200: 900}
    shares = {name: answered(podman, name) - before[name] for name in WORKERS}
    assert sum(shares.values()) == 900 and min(shares.values()) >= 240, shares  # 80 % of a third


class Load:
    """Reads, one after the other, for as long as the block lasts."""

    def __init__(self, *words):
        self.words, self.codes, self.going = words, collections.Counter(), True
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while self.going:
            self.codes[ask(*self.words)[0]] += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        self.thread.join()


def test_workers_go_and_come_and_no_request_is_lost(podman, pods, token, business):
    folder, workloads = pods
    with Load(podman, "GET", business, None, token) as load:
        began = time.monotonic()
        podman("stop", "--time", workloads["directory"].pod["terminationGracePeriodSeconds"], "directory-1")  # SIGTERM
        seconds = time.monotonic() - began
        assert podman.inspect("directory-1")["State"]["ExitCode"] == 0 and 5 <= seconds < 20, seconds
        podman("kill", "directory-2")
        podman.start(workloads["directory"], "directory-4", folder)
        podman.wait("directory-4")
        until = time.monotonic() + 10  # names are looked up every 5 s
        while answered(podman, "directory-4") == 0:
            assert time.monotonic() < until, "the new worker is not found"
            time.sleep(0.2)
    assert set(load.codes) == {200} and load.codes[200] > 100, load.codes


class Kept:
    """Reads over connections that are kept, as a Service leads them: a new one to any that is there, those that were made stay where they are."""

    def __init__(self, addresses, path, token, connections=8):
        self.addresses, self.path, self.token = addresses, path, token
        self.codes, self.made, self.going = collections.Counter(), collections.Counter(), True
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(connections)]

    def dial(self, i):
        address = self.addresses[i % len(self.addresses)]
        self.made[address] += 1
        return http.client.HTTPConnection(address, 4000, timeout=10)

    def run(self, i):
        connection = self.dial(i)
        while self.going:
            try:
                connection.request("GET", self.path, headers={"authorization": f"Bearer {self.token}"})
                answer = connection.getresponse()
                answer.read()
                self.codes[answer.status] += 1
                closed = answer.will_close
            except (OSError, http.client.HTTPException) as error:
                self.codes[type(error).__name__] += 1
                closed = True
            if closed:
                connection.close()
                connection = self.dial(i)
            time.sleep(0.02)
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.going = False
        for thread in self.threads:
            thread.join()


def test_a_gateway_goes_and_no_kept_connection_loses_a_request(podman, pods, token, business):
    folder, workloads = pods
    podman.start(workloads["gateway"], "gateway-2", folder)
    podman.wait("gateway-2")
    stays, goes = podman.address("gateway"), podman.address("gateway-2")
    addresses = [stays, goes]
    with Kept(addresses, business, token) as load:
        time.sleep(1)
        assert load.made == {stays: 4, goes: 4}, load.made
        addresses.remove(goes)
        podman("stop", "--time", workloads["gateway"].pod["terminationGracePeriodSeconds"], "gateway-2")
        assert podman.inspect("gateway-2")["State"]["ExitCode"] == 0
    assert set(load.codes) == {200} and load.codes[200] > 1000, load.codes
    assert load.made == {stays: 8, goes: 4}, load.made


def test_a_store_that_is_away_makes_unready_but_not_dead(podman, token, business):
    """What the probes rely on: /livez alone decides on the pod's place in DNS."""
    podman("stop", "--time", "20", "postgres")
    podman.wait("directory-3", "/readyz", 503, 20)
    assert podman.get("directory-3", "/livez")[0] == 200 and podman.get("gateway", "/livez")[0] == 200
    assert ask(podman, "GET", business, token=token)[0] == 503
    podman("start", "postgres")
    podman.wait("directory-3")
    podman.wait("auth")
    until = time.monotonic() + 20
    while ask(podman, "GET", business, token=token)[0] != 200:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_database_that_lost_everything_needs_its_schemas_and_no_restart(podman, pods):
    """As when the pod of dev's Postgres is moved to another node."""
    folder, workloads = pods
    podman("rm", "--force", "--time", "20", "postgres")
    shutil.rmtree(folder / "postgres")
    podman.start(workloads["postgres"], "postgres", folder)
    migrate(podman, workloads, folder)
    for name in ("directory-3", "auth", "mailer"):
        podman.wait(name)
    until = time.monotonic() + 20
    while (found := ask(podman, "POST", "/api/users/signup", {"user": {"email": "bob@example.com", "password": "correct horse"}}))[0] != 201:
        assert time.monotonic() < until, found
        time.sleep(0.5)
    assert ask(podman, "GET", "/api/businesses", token=found[1]["token"])[0] == 200
