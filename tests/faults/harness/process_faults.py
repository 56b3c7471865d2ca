"""What befalls the house's own processes. Faults are as rows.py says."""
import contextlib, os, signal, time
import stack
from scene import READY_S


def kill(scene, name, random):
    scene.kill(name)
    yield
    scene.start(name)


def freeze(scene, name, random):
    scene.send(name, signal.SIGSTOP)
    yield
    scene.send(name, signal.SIGCONT)


def restart(scene, name, random):
    """As a rolling one: it is asked to go, and answers what it has."""
    scene.stop(name)
    yield
    scene.start(name)


def both(fault):
    """Of both replicas of a service."""
    def fault_of_both(scene, service, random):
        with contextlib.ExitStack() as stack_of_two:
            for n in (1, 2):
                stack_of_two.enter_context(contextlib.contextmanager(fault)(scene, f"{service}-{n}", random))
            yield
    return fault_of_both


def kill_often(scene, name, random):
    """Again and again, hardly back."""
    for _ in range(3):
        scene.kill(name)
        scene.start(name)
        time.sleep(random.uniform(0.05, 0.6))
    scene.kill(name)
    yield
    scene.start(name)


CLOCK = f"{os.environ['BUSI_TEST_BIN']}/fault-clock.so"


def clock(seconds, library=CLOCK):
    """The environment of a process on a host whose clock is wrong by so much; durations are right there."""
    return {"LD_PRELOAD": str(library), "FAULT_CLOCK": str(seconds)}


def wrong_clock(seconds, judges=False):
    """judges: tokens by its clock, so it must not."""
    def fault(scene, name, random):
        scene.stop(name)
        scene.start(name, **clock(seconds))
        stack.wait_until(lambda: scene.is_alive(name) and scene.is_ready(name) != judges, READY_S, f"{name} has looked at its clock")
        yield
        assert scene.is_ready(name) != judges
        scene.stop(name)
        scene.start(name)
    return fault
