"""System calls of running processes that fail or take long: strace does it to them."""
import contextlib, functools, pathlib, subprocess
import stack
from scene import READY_S


def tracer(pid):
    with contextlib.suppress(OSError):
        return int(dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())["TracerPid"])


@contextlib.contextmanager
def meddled(pids, *words):
    """As long as this lasts, with them and all that they fork; words: of strace."""
    strace = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", *map(str, words), *(f"-p{pid}" for pid in pids)], stderr=subprocess.PIPE, text=True)
    try:
        stack.wait_until(lambda: strace.poll() is not None or any(tracer(pid) == strace.pid for pid in pids), READY_S, "strace has begun")
        assert strace.poll() is None, strace.stderr.read()
        yield
    finally:
        strace.terminate()  # or has ended with them
        strace.communicate(timeout=READY_S)


@functools.cache
def may_not_meddle():
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        try:
            with meddled([sleeper.pid], "-e", "inject=fsync:error=ENOSPC"):
                return None
        except (AssertionError, FileNotFoundError) as why:
            return f"strace may not touch a running process: {why}"
        finally:
            sleeper.kill()
