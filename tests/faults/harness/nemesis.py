"""Chooses from a seed what breaks when and for how long, and does it: the same seed and rows give the same plan."""
import contextlib, dataclasses, random, time
import stack
from checks_health import failed
from history import S, of

PAUSE = (0.4, 1.2)   # seconds of calm between a recovery and the next fault
QUIET_S = 1.2        # without a failure: all is well again
CALM_S = 4           # at the beginning: what later times are compared with


@dataclasses.dataclass
class Step:
    row: object
    after: float   # seconds of calm before
    length: float  # seconds
    seed: int      # of the fault's own choices


def plan(seed, rows, seconds=None):
    """Each row once in some order; or, for so many seconds, any rows again and again."""
    chance = random.Random(f"nemesis {seed}")
    order, steps, took = list(rows), [], CALM_S
    while True:
        chance.shuffle(order)
        for row in order:
            step = Step(row, chance.uniform(*PAUSE), chance.uniform(*row.lengths), chance.randrange(2**32))
            took += step.after + step.length + QUIET_S + 1
            if seconds and took > seconds:
                return steps
            steps.append(step)
        if not seconds:
            return steps


class Nemesis:
    """tell(text): says what is going on."""

    def __init__(self, scene, history, factor, tell, calm=CALM_S):
        self.scene, self.history, self.factor, self.tell, self.calm = scene, history, factor, tell, calm

    def run(self, steps, alive):
        """alive(): raises when there is no sense in going on."""
        time.sleep(self.calm)
        for number, step in enumerate(steps, 1):
            alive()
            if why := step.row.needs():
                self.history.add("left", row=step.row.name, why=why)
                continue
            time.sleep(step.after)
            self.revive()
            self.tell(f"{number}/{len(steps)} {step.row.name} for {step.length:.1f} s")
            self.apply(step)

    def revive(self):
        """Who has ended though nobody asked for it is begun anew, as it would be elsewhere, and told of."""
        for name in self.scene.dead():
            self.history.add("died", name=name, words=self.scene.log(name).read_text(errors="replace").splitlines()[-1][:200])
            self.scene.start(name)

    def apply(self, step):
        row, chance = step.row, random.Random(step.seed)
        fault = contextlib.contextmanager(row.fault)(self.scene, row.hits, chance)
        begin = self.history.now()
        fault.__enter__()
        try:
            broken = self.history.now()
            time.sleep(step.length)
        finally:
            mending = self.history.now()
            fault.__exit__(None, None, None)
        cleared = self.history.now()
        self.history.add("fault", row=row.name, begin=begin, broken=broken, mending=mending, cleared=cleared, bound=row.bound,
                         breaks=list(row.breaks), **row.excuses)
        self.wait_for_calm(cleared, row.bound * self.factor)

    def wait_for_calm(self, cleared, bound):
        """Until nothing has failed for a while; no longer than it may take, and a grace."""
        until = time.monotonic() + bound + QUIET_S
        time.sleep(QUIET_S)
        while time.monotonic() < until:
            since = max(self.history.now() - int(QUIET_S * S), cleared)
            with self.history.lock:
                recent = [record for record in self.history.records[-2000:] if record["type"] == "op" and record["invoke"] > since]
            if not any(failed(op) for op in recent):
                return
            time.sleep(0.1)
