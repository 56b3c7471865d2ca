"""The short pass: what lies is found out, and the house stands a seed of every kind of fault. The long one is `run`, by hand."""
import contextlib, os, threading
import pytest
import stack
from checks import INVARIANTS, violations
from liar import Liar, forgetful
from play import Run, summary
from rows import ROWS
from scene import Scene

FACTOR = 4.0  # of the bounds of recoveries: this machine is busy with others' work, too
LIES = {"lose", "do", "twice", "revive", "reuse", "again", "cross", "deny", "delay", "fail", "write"}
SHORT = ["gateway-2 killed", "auth-1 killed", "auth-2 frozen", "mailer-1 killed", "redis killed and old", "redis flushed", "postgres killed",
         "accounts locked", "gateway-auth flips bits", "directory-postgres is reset"]


def rows(*names):
    return [row for row in ROWS if row.name in names]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with Scene(tmp_path_factory.mktemp("harness") / "scene") as scene:
        yield scene
    stack.local("up")  # as the other tests want it


@contextlib.contextmanager
def lies(run):
    """In front of both gateways, and at the relay."""
    log = stack.VAR / "logs/liar.log"
    with open(log, "w") as file, forgetful(run.scene.sink):
        run.liars = [Liar(port, file) for port in run.targets.values()]
        run.targets = {name: liar.port for name, liar in zip(run.targets, run.liars)}
        for liar in run.liars:
            threading.Thread(target=liar.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            for liar in run.liars:
                liar.shutdown()
                liar.server_close()
            log.unlink()


def test_every_lie_is_found(scene, tmp_path):
    """What clients happen to ask is chance: of some lies a run may have no occasion, then another one has."""
    told, found = set(), set()
    for seed in range(2, 8):
        run = Run(scene, seed, tmp_path / f"lies-{seed}.ndjson", pause=0.03, calm=8)
        found |= violations(run.play(rows("relay greylists"), between=lies)).keys()
        told = told.union(*(liar.told for liar in run.liars))
        if told == LIES and found == INVARIANTS.keys():
            break
    assert told == LIES
    assert found == INVARIANTS.keys(), INVARIANTS.keys() - found


def test_the_short_pass(scene, tmp_path):
    seed = int(os.environ.get("BUSI_TEST_SEED", "5"))
    run = Run(scene, seed, tmp_path / "short.ndjson", tell=print, factor=FACTOR)
    lines, fine = summary(run.play(rows(*SHORT)), FACTOR)
    print(*lines, sep="\n")
    if not fine:
        kept = stack.VAR / f"history-{seed}.ndjson"
        kept.write_bytes(run.file.read_bytes())
        words = " ".join(f"'{name}'" for name in SHORT)
        pytest.fail("\n".join([*lines, f"again: tests/faults/harness/run --seed {seed} --rows {words}", f"history: {kept}"]))
