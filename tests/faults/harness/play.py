"""One run: the house, the clients, what breaks, what is found at the end, and what all of it means."""
import contextlib, pathlib, secrets, time
import scene as scenes
import stack
from asker import Stalls
from checks import violations
from checks_health import calm, quantile, recoveries
from clients import Client, World
from history import History, S, of
from nemesis import CALM_S, Nemesis, plan
from people import Vault, described
from post import Post
from seek import leaks

CLIENTS, PAUSE = 6, 0.06       # threads, and seconds between two operations of one
MAIL_S = 90                    # until the last mail must be there
FINAL_DEAD, FINAL_READS = 200, 60


class Run:
    """In a house that stands. file: of the history; tell(text): says what is going on; factor: how much longer than its bound
    anything may take to be well again on this machine."""

    def __init__(self, scene, seed, file, tell=lambda text: None, factor=1.0, clients=CLIENTS, pause=PAUSE, calm=CALM_S):
        self.scene, self.seed, self.file, self.tell, self.factor = scene, seed, pathlib.Path(file), tell, factor
        self.n, self.pause, self.calm = clients, pause, calm
        self.targets = dict(scene.targets)

    def play(self, rows, seconds=None, between=lambda run: contextlib.nullcontext()):
        """between(run): a context in which the clients live, and may be led elsewhere. The records."""
        self.history, self.vault, self.name = History(self.file), Vault(), f"h{self.seed % 10**6}x{secrets.token_hex(3)}"
        self.logged = {path: path.stat().st_size for path in (stack.VAR / "logs").iterdir()}
        self.history.add("run", seed=self.seed, rows=[row.name for row in rows], seconds=seconds)
        try:
            with between(self), Stalls(self.history) as self.stalls, scenes.Samples(self.scene, self.history), \
                    Post(self.history, self.scene.sink, self.vault, f"@{self.name}.example") as self.post:
                self.perform(plan(self.seed, rows, seconds))
        finally:
            self.scene.mend()
            self.history.close()
        return self.history.records

    def perform(self, steps):
        self.world = World(self.history, self.stalls, self.targets, self.post, self.vault, self.name, self.seed)
        self.clients = [Client(n, self.world, self.pause) for n in range(self.n)]
        for client in self.clients:
            client.thread.start()
        try:
            Nemesis(self.scene, self.history, self.factor, self.tell, self.calm).run(steps, self.alive)
        finally:
            for client in self.clients:
                client.over.set()
            for client in self.clients:
                client.thread.join(30)
        self.alive()
        self.tell("looking at what is left")
        self.look_at_the_end()
        self.wait_for_mails()
        self.look_into_stores()
        self.look_for_leaks()

    def alive(self):
        for client in self.clients:
            if client.error:
                raise client.error

    # ---- the end ----
    def look_at_the_end(self):
        """Everything is asked once more: passwords, living and dead sessions, businesses."""
        last = Client("final", self.world, 0)
        last.name = last.asker.name = "final"
        for account in [account for client in self.clients for account in client.accounts]:
            candidates = account.maybe or [account.password]
            if account.maybe:
                time.sleep(max(0, (account.until - self.history.now()) / S))
            for password in candidates:
                if last.until_known(lambda: last.sign_in(account, password)).ok:
                    break
            last.accounts = [account]
            for _ in account.sessions[:2]:
                last.check()
        last.accounts = [account for client in self.clients for account in client.accounts]
        for _ in range(FINAL_READS):
            last.read()
        for session in last.random.sample(self.world.dead.sessions, min(FINAL_DEAD, len(self.world.dead.sessions))):
            for target in self.targets:
                last.ask("probe", "GET", "/check", headers=session.headers, session=session.id, protected=True, expires=session.expires, target=target)
        last.asker.close()

    def wait_for_mails(self):
        waiting = ("SELECT (SELECT count(*) FROM auth.outbox) + (SELECT count(*) FROM auth.mail_requests) + "
                   "(SELECT count(*) FROM mailer.mails WHERE state = 'queued')")
        self.tell("waiting for the last mails")
        stack.wait_until(lambda: self.scene.sql(waiting) == "0", MAIL_S, "every mail has left")
        self.post.look()

    def look_into_stores(self):
        name, whose = self.world.name, self.world.whose
        gone = {op["about"] for op in of(self.history.records, "op") if op["op"].startswith("sign_up")}
        for email, username, n in self.scene.rows(f"SELECT email_key, min(username_key), count(*) FROM auth.users WHERE email_key LIKE '%@{name}.example' GROUP BY 1"):
            self.history.add("seen", what="account", about=whose(email), n=n, name=self.history.hash("name", username), value="there")
            gone.discard(whose(email))
        for about in gone:
            self.history.add("seen", what="account", about=about, n=0, name=about, value="-")
        there = set()
        for text, n, tag, description in self.scene.rows(
                f"SELECT name, count(*), min(tag) AS tag, min(description) AS description FROM directory.businesses WHERE name LIKE '{name}-%' GROUP BY 1"):
            there.add("biz:" + text)
            value = tag if description == described(tag, text) else f"{description}|{tag}"
            self.history.add("seen", what="business", about="biz:" + text, n=n, value=value)
        asked = {op["about"] for op in of(self.history.records, "op") if op["op"] == "create"}
        for about in asked - there:
            self.history.add("seen", what="business", about=about, n=0, value="-")
        for email, event, n in self.scene.rows(
                "SELECT u.email_key, a.event, count(*) FROM auth.audit a JOIN auth.users u ON u.id = a.user_id WHERE a.outcome = 'ok' AND "
                f"a.event IN ('confirm_email', 'reset_password') AND u.email_key LIKE '%@{name}.example' GROUP BY 1, 2"):
            self.history.add("seen", what="audit", about=whose(email), name=event, n=n)

    def look_for_leaks(self):
        """In all that is written but the mails themselves and what keeps the house's own secrets."""
        self.tell("looking for secrets")
        for name in scenes.GATEWAYS + scenes.WORKERS:
            with contextlib.suppress(OSError):
                (self.scene.folder / f"{name}.metrics").write_text(self.scene.ask_side(name, "/metrics"))
        places = [self.scene.folder, stack.VAR / "logs", stack.VAR / "run", stack.VAR / "redis", stack.VAR / "redis.old"]
        files = [path for place in places for path in place.rglob("*") if path.is_file() and self.scene.sink.folder not in path.parents]
        for where, what in leaks([*files, self.file, *stack.VAR.glob("core*")], self.vault, self.logged):
            self.history.add("leak", where=where, what=what)


def summary(records, factor=1.0):
    """Lines that say how it went, and whether all is well."""
    ops, lines = of(records, "op"), []
    took = sorted((seconds, fault["row"], bound) for fault, seconds, bound in recoveries(records, factor))
    for fault, seconds, bound in recoveries(records, factor):
        lines.append(f"  {fault['row']:28} {(fault['mending'] - fault['broken']) / S:5.1f} s  well again {seconds:5.2f} s after it, bound {bound:.0f} s")
    lines += [f"  left out: {row}: {why}" for row, why in sorted({(left["row"], left["why"]) for left in of(records, "left")})]
    times = [seconds for seconds, _, _ in took]
    by_outcome = {outcome: sum(op["outcome"] == outcome for op in ops) for outcome in ("ok", "fail", "unknown")}
    quiet = [(op["return"] - op["invoke"]) / S for op in calm(records, factor)]
    lines.append(f"{len(took)} faults, {len(ops)} operations ({by_outcome['ok']} ok, {by_outcome['fail']} refused, {by_outcome['unknown']} unknown), "
                 f"{len(of(records, 'mail'))} mails, p99 when calm {quantile(quiet, 0.99) * 1000:.0f} ms")
    if times:
        lines.append(f"recoveries: median {quantile(times, 0.5):.2f} s, longest {times[-1]:.2f} s ({took[-1][1]})")
    found = violations(records, factor)
    for name, said in found.items():
        lines.append(f"VIOLATED {name}: {len(said)} times")
        lines += [f"    {text}" for text in said[:8]]
    lines.append(f"{sum(map(len, found.values()))} violations")
    return lines, not found
