"""./deploy/local on a folder of its own, whatever was left there: its name, an `up` that was killed, a full disk, pids of before a restart."""
import contextlib, os, pathlib, shutil, signal, subprocess, tempfile, time

import pytest

from second import free_port

LAUNCHER = pathlib.Path(__file__).resolve().parents[2] / "deploy/local"


class Place:
    def __init__(self, folder):
        self.var = folder / "a name with blanks"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
        self.environment |= {"BUSI_VAR": str(self.var), "BUSI_BIN": os.environ["BUSI_TEST_BIN"], "BUSI_HTTP_PORT": str(free_port())}

    def run(self, command):
        done = subprocess.run([LAUNCHER, command], env=self.environment, text=True, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill_up_while_postgres_is_made(self):
        launcher = subprocess.Popen([LAUNCHER, "up"], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not (self.var / "postgres/new").exists():
            assert launcher.poll() is None and time.monotonic() < end
            time.sleep(0.005)
        launcher.kill()
        launcher.wait()

    def running(self):
        return {line.split()[0] for line in self.run("status").splitlines()[1:] if line.split()[1] != "-"}


@pytest.fixture(scope="module")
def place():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="busi-launcher-"))
    folder.chmod(0o755)  # user postgres, too
    at = Place(folder)
    try:
        at.kill_up_while_postgres_is_made()
        (at.var / "keys/servers/auth-svc.pub").write_bytes(b"")
        at.run("up")
        yield at
    finally:
        at.run("down")
        shutil.rmtree(folder)


ALL = {"postgres", "redis", "mailer-1", "auth-1", "directory-1", "gateway"}


@contextlib.contextmanager
def stranger(folder, name):
    """A process of somebody else that has the name of one of ours."""
    program = folder / name
    program.symlink_to(shutil.which("sleep"))
    process = subprocess.Popen([program, "60"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_all_is_up_whatever_was_left(place):
    assert place.running() == ALL


@pytest.mark.parametrize("name, program", [("redis", "redis-server"), ("gateway", "gateway")])
def test_a_pid_that_is_somebody_elses_by_now(place, tmp_path, name, program):
    file = place.var / f"run/{name}.pid"
    with stranger(tmp_path, program) as process:
        os.kill(int(file.read_text()), signal.SIGKILL)
        file.write_text(f"{process.pid}\n")
        assert place.running() == ALL - {name}
        place.run("down")
        assert process.poll() is None
        file.write_text(f"{process.pid}\n")
        place.run("up")
        assert process.poll() is None and place.running() == ALL
