"""What a process may lack: descriptors, the processor, memory, somewhere to write its log. Faults are as rows.py says."""
import concurrent.futures, contextlib, fcntl, functools, http.client, itertools, json, os, pathlib, resource, subprocess
import stack
from preloads import Memory, why_ended
from scene import READY_S

# Ends, and lets it run, when its standard input does.
THROTTLE = """pid=$1; waited() { read -rt "$1"; [ $? -gt 128 ]; }
while kill -STOP "$pid" && waited 0.08 && kill -CONT "$pid" && waited 0.02; do :; done; kill -CONT "$pid" """


def again(scene, name, **beside):
    """It is begun anew, with this beside it in its environment."""
    scene.stop(name)
    scene.start(name, **beside)
    stack.wait_until(lambda: scene.is_ready(name), READY_S, f"{name} is ready")


def nobody_may_look():
    return None if os.geteuid() == 0 else "only root sees the descriptors of processes that keep secrets"


def clients_of(scene, name):
    """The sockets of those that are connected to a gateway, as /proc calls them."""
    port = {"gateway-1": int(stack.PORT), "gateway-2": scene.port}.get(name)
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{words[9]}]" for words in lines if int(words[1].split(":")[1], 16) == port}


def no_descriptors(scene, name, random):
    """It may have no more than it needs for itself: a gateway lets nobody in any more, others reach nobody anew."""
    pid, clients = scene.pid(name), clients_of(scene, name)
    taken = {int(path.name) for path in pathlib.Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink() and os.readlink(path) not in clients}
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (next(n for n in itertools.count() if n not in taken), before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def a_fifth_of_a_processor(scene, name, random):
    """It runs for 20 ms of each 100, whether it has much to do or not."""
    throttle = subprocess.Popen(["bash", "-c", THROTTLE, "-", str(scene.pid(name))], stdin=subprocess.PIPE)
    yield
    throttle.stdin.close()
    assert throttle.wait(READY_S) == 0


def rush(port, random, people=60):
    """So many come at once, with passwords that are wrong, long lists to be answered and long texts to be read."""
    email = f"rush{random.getrandbits(48)}@rush.example"

    def ask(method, path, body=None, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError), contextlib.closing(connection):
            connection.request(method, path, body and json.dumps(body), {"content-type": "application/json", "authorization": f"Bearer {token}"})
            return json.loads(connection.getresponse().read())
    said = ask("POST", "/api/users/signup", {"user": {"email": email, "password": stack.PASSWORD}})
    token = said and said.get("token")
    kinds = [("POST", "/api/users/signin", {"email": email, "password": "not this one"}), ("GET", "/api/businesses?limit=100", None, token),
             ("POST", "/api/businesses", {"business": {"name": "x" * 60000}}, token)]
    with concurrent.futures.ThreadPoolExecutor(people) as pool:
        list(pool.map(lambda n: ask(*kinds[n % len(kinds)]), range(people)))


def no_memory(scene, name, random):
    """It has just begun and gets nothing more, but much to do. Whoever ends for it is started again afterwards."""
    again(scene, name)
    pid, unlimited = scene.pid(name), resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_DATA, (scene.status(name)["VmData"] + random.randrange(1 << 18), unlimited))
    rush(scene.port if name == "gateway-2" else int(stack.PORT), random)
    yield
    if stack.lives(pid):
        resource.prlimit(pid, resource.RLIMIT_DATA, (unlimited, unlimited))
    else:
        scene.start(name)


# ---- malloc ----
def now_and_then(random):
    return {"one_in": random.randrange(5, 300), "seed": random.getrandbits(60)}


def for_a_moment(random):
    """From the N-th call on, so many."""
    first = random.randrange(1, 500)
    return {"first": first, "last": first + random.choice([0, 3, 30, 300])}


def refused_memory(which, unsparing=False):
    """Some calls get none, wherever they stand in its code; unsparing: nor do libraries that end the process then, with a line that says why."""
    def fault(scene, name, random):
        page = Memory(scene.folder / f"{name}.memory", unsparing)
        again(scene, name, **page.environment())
        said, pid = scene.log(name).stat().st_size, scene.pid(name)
        page.refuse(**which(random))
        rush(scene.port if name == "gateway-2" else int(stack.PORT), random, people=12)
        stack.wait_until(lambda: page["refused"], READY_S, f"{name} was refused some")
        yield
        page.calm()
        if not stack.lives(pid):
            stack.wait_until(lambda: stack.end_of(scene.pid_file(name)) is not None, READY_S, f"it is known how {name} ended")
            why = why_ended(page, stack.end_of(scene.pid_file(name)), scene.log(name).read_text(errors="replace")[said:])
            assert not why, f"{name} {why}"
            scene.start(name)
    return fault


CGROUPS = pathlib.Path("/sys/fs/cgroup/memory")  # the first version's
LIMIT = "memory.limit_in_bytes"
if not CGROUPS.is_dir():
    CGROUPS, LIMIT = CGROUPS.parent, "memory.max"


@contextlib.contextmanager
def cgroup(mib):
    """Whose processes have so much memory together, or are killed."""
    group = CGROUPS / f"busi-harness-{os.getpid()}"
    group.mkdir()
    try:
        (group / LIMIT).write_text(str(mib << 20))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


@functools.cache
def no_cgroups():
    try:
        with cgroup(64):
            return None
    except OSError as why:
        return f"no memory can be limited: {why}"


def little_memory(mib):
    """It stays within it."""
    def fault(scene, name, random):
        with cgroup(mib) as tasks:
            again(scene, name, CGROUP=str(tasks))
            pid = scene.pid(name)
            yield
            assert stack.lives(pid), f"{name} needs more than {mib} MiB"
            scene.stop(name)
        scene.start(name)
    return fault


# ---- logs ----
def log_disk_full(scene, name, random):
    """It goes on, and counts what nobody will read."""
    again(scene, name, LOG="/dev/full")
    yield
    assert scene.metric(name, "busi_log_lines_dropped_total") > 0
    again(scene, name)


def log_nobody_reads(scene, name, random):
    """A pipe that was full before it began."""
    path = scene.folder / f"{name}.pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    room = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    assert os.write(writer, b"\n" * room) == room
    again(scene, name, LOG=str(path))
    yield
    again(scene, name)
    for end in (reader, writer):
        os.close(end)
    path.unlink()
