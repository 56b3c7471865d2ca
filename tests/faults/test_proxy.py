"""Each fault that fault-proxy is told to make really happens, and no other: else what is shown by means of it is nothing."""
import contextlib, errno, os, pathlib, random, socket, subprocess, threading, time
import pytest
from links import Proxy


@pytest.fixture(scope="module", autouse=True)
def whole_stack():
    """Nothing of a stack is needed here."""


@pytest.fixture(scope="module")
def proxy():
    with Proxy(seed=7) as proxy:
        yield proxy


class Pair:
    """Both ends of one connection through a link of its own: near connected, far was reached."""
    number = 0

    def __init__(self, proxy):
        Pair.number += 1
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.link = proxy.link(f"pair-{Pair.number}", self.listener.getsockname()[1])
        self.near, self.far = self.connect()

    def connect(self):
        near = socket.create_connection(("127.0.0.1", self.link.port), timeout=5)
        far = self.listener.accept()[0]
        far.settimeout(5)
        return near, far

    def close(self):
        for one in (self.near, self.far, self.listener):
            one.close()


@pytest.fixture
def pair(proxy):
    with contextlib.closing(Pair(proxy)) as pair:
        yield pair


def receive(end, n):
    """n bytes, or fewer when it ends before."""
    got = b""
    while len(got) < n:
        piece = end.recv(n - len(got))
        if not piece:
            break
        got += piece
    return got


def silent(end, seconds=0.2):
    end.settimeout(seconds)
    try:
        return end.recv(1) is None
    except TimeoutError:
        return True
    finally:
        end.settimeout(5)


def is_reset(end):
    with pytest.raises(OSError) as why:
        end.recv(1)
    return why.value.errno == errno.ECONNRESET


def trip(pair, n=1):
    """Seconds from near to far."""
    begin = time.monotonic()
    pair.near.sendall(b"x" * n)
    assert len(receive(pair.far, n)) == n
    return time.monotonic() - begin


def test_it_carries_everything_both_ways(pair):
    words = {end: random.Random(i).randbytes(3 << 20) for i, end in enumerate((pair.near, pair.far))}
    threads = [threading.Thread(target=end.sendall, args=(words[end],)) for end in words]
    for thread in threads:
        thread.start()
    assert receive(pair.far, 3 << 20) == words[pair.near]
    assert receive(pair.near, 3 << 20) == words[pair.far]
    for thread in threads:
        thread.join()
    pair.near.shutdown(socket.SHUT_WR)
    assert pair.far.recv(1) == b""
    pair.far.sendall(b"still heard")
    assert receive(pair.near, 11) == b"still heard"
    pair.far.close()
    assert pair.near.recv(1) == b""
    assert pair.link.stats() | {"connections": 0} == {"connections": 0, "accepted": 1, "up": 3 << 20, "down": (3 << 20) + 11, "hits": 0}


def test_delay_is_of_one_direction(pair):
    pair.link.set("up", delay=150)
    assert 0.15 <= trip(pair) < 1
    begin = time.monotonic()
    pair.far.sendall(b"y")
    assert receive(pair.near, 1) == b"y" and time.monotonic() - begin < 0.15
    pair.link.clear()
    assert min(trip(pair) for _ in range(5)) < 0.15


def test_jitter_differs_and_keeps_the_order(pair):
    pair.link.set("up", delay=20, jitter=60)
    times = [trip(pair) for _ in range(12)]
    assert min(times) >= 0.02 and max(times) - min(times) > 0.01
    words = b"".join(b"%04d" % i for i in range(500))
    for i in range(0, len(words), 20):
        pair.near.sendall(words[i:i + 20])
    assert receive(pair.far, len(words)) == words


def test_rate(pair):
    pair.link.set("up", rate=20000)
    assert 0.4 <= trip(pair, 10000) < 2
    pair.link.clear()
    assert min(trip(pair, 10000) for _ in range(5)) < 0.4


@pytest.mark.parametrize("n", [0, 1, 1000, 100000])
def test_cut_after_so_many_bytes(pair, n):
    pair.link.set("up", cut=n)
    with contextlib.suppress(OSError):
        pair.near.sendall(b"x" * (n + 500))
    assert len(receive(pair.far, n + 500)) == n
    assert pair.far.recv(1) == b""
    pair.near, pair.far = pair.connect()  # each connection has its own count
    pair.near.sendall(b"x" * n)
    assert len(receive(pair.far, n)) == n and pair.far.recv(1) == b""
    assert pair.link.stats()["hits"] == 2


@pytest.mark.parametrize("n", [1, 1000])
def test_reset_after_so_many_bytes(pair, n):
    pair.link.set("down", rst=n)
    pair.far.sendall(b"x" * n)
    assert len(receive(pair.near, n)) == n
    assert is_reset(pair.near) and is_reset(pair.far)


def test_reset_now_and_a_new_one_goes_on(pair):
    trip(pair)
    pair.link.reset()
    assert is_reset(pair.near) and is_reset(pair.far)
    pair.near, pair.far = pair.connect()
    assert trip(pair) < 1


def test_half_close(pair):
    pair.link.set("up", halfclose=10)
    pair.near.sendall(b"x" * 30)
    assert len(receive(pair.far, 30)) == 10 and pair.far.recv(1) == b""
    pair.far.sendall(b"y")
    assert receive(pair.near, 1) == b"y"
    pair.near.sendall(b"x")
    assert silent(pair.near)


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_black_hole(pair, direction):
    pair.link.set(direction, drop=1)
    pair.near.sendall(b"x")
    pair.far.sendall(b"y")
    assert silent(pair.far) == (direction != "down") and silent(pair.near) == (direction != "up")
    new = pair.connect()
    new[0].sendall(b"z")
    new[0].close()
    assert silent(new[1]) == (direction != "down")
    pair.link.clear()
    if direction != "down":
        assert is_reset(new[1])  # its end was swallowed
        pair.near.sendall(b"x")  # what follows a gap is not passed on
        assert is_reset(pair.far)
    new[1].close()
    new = pair.connect()
    new[0].sendall(b"z")
    assert receive(new[1], 1) == b"z"
    for end in new:
        end.close()


def test_stall_holds_and_lets_go(pair):
    pair.link.set("both", stall=1)
    pair.near.sendall(b"xyz")
    assert silent(pair.far)
    pair.far.sendall(b"abc")
    assert silent(pair.near)
    pair.link.clear()
    assert receive(pair.far, 3) == b"xyz" and receive(pair.near, 3) == b"abc"


def test_what_is_big_is_stuck_with_all_behind_it(pair):
    pair.link.set("up", big=1000)
    trip(pair, 999)
    pair.near.sendall(b"x" * 1000)
    assert silent(pair.far)
    pair.near.sendall(b"y")
    assert silent(pair.far)
    pair.far.sendall(b"z" * 1000)
    assert receive(pair.near, 1000) == b"z" * 1000
    with contextlib.closing(pair.connect()[0]) as new:
        new.sendall(b"small")
    pair.link.clear()
    assert receive(pair.far, 1001) == b"x" * 1000 + b"y" and pair.link.stats()["hits"] == 1


def test_what_is_stalled_is_bounded(pair, proxy):
    def resident():
        return int(pathlib.Path(f"/proc/{proxy.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    pair.link.set("up", delay=60000)
    before = resident()
    pair.near.settimeout(0.5)
    with pytest.raises(TimeoutError):
        pair.near.sendall(b"x" * (64 << 20))
    assert resident() - before < 8 << 20


@pytest.mark.parametrize("every, n, flipped", [(100, 150, 1), (1, 10, 10), (100, 99, 0), (7, 1000, 142)])
def test_corrupt_flips_one_bit_of_each_so_manieth_byte(pair, every, n, flipped):
    pair.link.set("up", corrupt=every)
    words = random.Random(n).randbytes(n)
    for i in range(0, n, 33):
        pair.near.sendall(words[i:i + 33])
    got = receive(pair.far, n)
    bits = [(a ^ b).bit_count() for a, b in zip(words, got)]
    assert bits == [int((i + 1) % every == 0) for i in range(n)] and sum(bits) == flipped == pair.link.stats()["hits"]
    pair.link.clear()
    pair.near.sendall(words)
    assert receive(pair.far, n) == words


def test_refused_and_open_again(pair):
    pair.link.refuse()
    with pytest.raises(ConnectionRefusedError):
        pair.connect()
    assert trip(pair) < 1  # who is there stays
    pair.link.refuse(False)
    pair.near, pair.far = pair.connect()
    assert trip(pair) < 1


def test_a_target_that_refuses(pair):
    pair.listener.close()
    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", pair.link.port), timeout=5) as near:
        near.recv(1)


def test_nothing_is_left_of_connections(proxy, pair):
    def files():
        return len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
    before = files()
    for faults in ({}, {"cut": 3}, {"rst": 3}, {"halfclose": 3}, {"drop": 1}, {"delay": 30}):
        if faults:
            pair.link.set("both", **faults)
        for _ in range(20):
            near, far = pair.connect()
            near.sendall(b"four")
            near.close()
            far.close()
        pair.link.clear()
    end = time.monotonic() + 5
    while files() != before or pair.link.stats()["connections"] != 1:
        assert time.monotonic() < end, (files(), before, pair.link.stats())
        time.sleep(0.02)


def test_another_address(proxy):
    """Of this machine; the same port of the first is somebody else's."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        link = proxy.link("elsewhere", listener.getsockname()[1], f"127.0.0.2:{taken.getsockname()[1]}")
        assert link.port == taken.getsockname()[1]
        with socket.create_connection(("127.0.0.2", link.port), timeout=5) as near, listener.accept()[0] as far:
            near.sendall(b"here")
            assert receive(far, 4) == b"here"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", link.port), timeout=5)


@pytest.mark.parametrize("line", [
    "", "nonsense", "nonsense x", "open", "open a 0", "open a 0 nowhere", "open a 0 127.0.0.1:0", "open a 0 127.0.0.1:70000",
    "open a -1 127.0.0.1:80", "open a localhost:0 127.0.0.1:80", "open a 127.0.0.1: 127.0.0.1:80", "open a 0 localhost:80", "open pair-1 0 127.0.0.1:80", f"open {'n' * 40} 0 127.0.0.1:80", "set", "set pair-1 up",
    "set nothing up delay=1", "set pair-1 sideways delay=1", "set pair-1 up delay", "set pair-1 up delay=", "set pair-1 up delay=x",
    "set pair-1 up delay=-1", "set pair-1 up delay=99999999999999999999", "set pair-1 up corrupt=0", "set pair-1 up drop=2", "set pair-1 up love=1",
    "refuse pair-1", "refuse pair-1 maybe", "clear", "clear pair-1 now", "clear nothing", "a " * 200])
def test_a_command_it_does_not_understand(proxy, line):
    with pytest.raises(AssertionError, match="error"):
        proxy.tell(line)
    assert "connections=" in proxy.tell("stats", "pair-1")


def test_a_line_without_end(proxy):
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(5)
        other.connect(proxy.control.getpeername())
        other.sendall(b"x" * 4096)
        with contextlib.suppress(ConnectionResetError):
            assert other.recv(1) == b""
    assert "connections=" in proxy.tell("stats", "pair-1")


def test_it_ends_with_who_started_it():
    proxy = Proxy()
    proxy.process.stdin.close()
    assert proxy.process.wait(5) == 0
    proxy.close()


def test_help():
    done = subprocess.run([os.environ["BUSI_TEST_BIN"] + "/fault-proxy", "--help"], text=True, capture_output=True, timeout=5)
    assert done.returncode == 0 and "halfclose=BYTES" in done.stdout
