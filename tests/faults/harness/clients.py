"""What clients do to the house, all of it recorded: accounts, sessions, mailed secrets, businesses, and much that must be refused."""
import base64, concurrent.futures, random, secrets, sys, threading, time, uuid
import stack
from asker import NORMAL, PASSWORD, Answer, Asker
from checks_state import LATE
from history import NOT_THERE, S
from people import Account, Business, Dead, Session, described

sys.path.append(str(stack.ROOT / "tests/wire"))
from client import Client as WireClient, RpcError  # noqa: E402

ACCESS_S = 15                  # BUSI_ACCESSPASS_ACCESS_LIFETIME of the run
CONFIRM, RESET, CHANGED = "Confirmation email", "Reset your password", "Your password was changed"
WELCOME = "Welcome to busi"
REPEATS = 6                    # tries of what must be done in the end
AT_ONCE = 3                    # uses of one secret
WEIGHTS = {"sign_up": 4, "sign_up_at_once": 1, "sign_in": 6, "check": 22, "read": 14, "list": 5, "create": 7, "update": 10, "delete": 3,
           "refresh": 8, "sign_out": 5, "change_password": 3, "ask_reset": 3, "confirm": 4, "reset": 3, "remove_account": 1, "enqueue": 3,
           "home": 3, "forged": 2, "probe": 18, "resolve": 3}


class World:
    """What all clients of a run share."""

    def __init__(self, history, stalls, targets, post, vault, name, seed):
        self.history, self.stalls, self.targets, self.post, self.vault, self.name, self.seed = history, stalls, targets, post, vault, name, seed
        self.dead = Dead()
        self.pool = concurrent.futures.ThreadPoolExecutor(12)

    def whose(self, email):
        return self.history.hash(email.lower())


class Client:
    """One thread, which does one thing after the other with what is its own."""

    def __init__(self, number, world, pause):
        self.world, self.history, self.vault, self.pause = world, world.history, world.vault, pause
        self.name, self.random = f"c{number}", random.Random(f"{world.seed}-{number}")
        self.asker = Asker(self.name, world.history, world.stalls, world.targets)
        self.accounts, self.count, self.wires, self.error = [], 0, {}, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.over = threading.Event()

    # ---- the loop ----
    def run(self):
        try:
            self.sign_up()
            while not self.over.is_set():
                getattr(self, self.random.choices(list(WEIGHTS), WEIGHTS.values())[0])()
                self.over.wait(self.random.uniform(0.3, 1.7) * self.pause)
        except Exception as error:  # told in the run's own thread
            self.error = error
            raise
        finally:
            self.asker.close()
            for wire in self.wires.values():
                wire.close()

    def target(self):
        return self.random.choice(list(self.world.targets))

    def ask(self, op, method, path, body=None, headers=None, deadline=NORMAL, target=None, asker=None, args=(), note=None, **fields):
        """note(answer): further fields of the record, from what came."""
        target, asker = target or self.target(), asker or self.asker
        answer = asker.ask(target, method, path, body, headers)
        answer.record = asker.keep(op, target, answer, deadline, (method, path, *args), **fields, **(note(answer) if note else {}))
        if self.vault.mark.encode() in answer.body:
            self.history.add("leak", where=f"the answer to {op}", what="a password")
        return answer

    def until_known(self, once):
        """Repeats what had no answer; the last one."""
        for n in range(REPEATS):
            answer = once()
            if answer.outcome != "unknown" or self.over.is_set():
                break
            time.sleep(min(0.2 * 2**n, 2) * self.random.uniform(0.8, 1.2))
        return answer

    def pw(self, password):
        return self.history.hash("password", password)

    # ---- accounts ----
    def new_account(self):
        self.count += 1
        name = f"{self.world.name}{self.name}n{self.count}"
        email = f"{name}@{self.world.name}.example"
        return Account(self.world.whose(email), email, name, self.vault.password())

    def an_account(self, known=False):
        able = [a for a in self.accounts if not a.maybe and (a.id or not known)]
        return self.random.choice(able) if able else None

    def open(self, account, answer, token, refresh=None):
        session = Session(self.history.hash("session", refresh or token), account, self.vault.add(token), refresh and self.vault.add(refresh))
        if refresh:
            session.expires = answer.end + ACCESS_S * S
        account.sessions.append(session)
        return session

    def opened(self, account, door):
        """A note that finds the session of an answer; it is kept as account.sessions[-1]."""
        def note(answer):
            said = answer.json if answer.ok else None
            if not isinstance(said, dict):
                return {}
            token = said.get("token") or said["ok"]["access_token"]
            return {"opens": self.open(account, answer, token, None if "token" in said else said["ok"]["refresh_token"]).id}
        return note

    def register(self, account, door, asker=None, **more):
        fields = {"email": account.email, "username": account.name, "password": account.password}
        path = "/api/users" if door == "guardian" else "/register"
        opened = self.opened(account, door)

        def note(answer):
            said = answer.json if answer.ok else {}
            if door == "guardian" and answer.ok:
                account.id = said["data"]["id"]
                return opened(answer) | {"saw": self.world.whose(said["data"]["email"])}
            return opened(answer) | ({"reads": "there"} if answer.outcome == "fail" and b"already been taken" in answer.body else {})
        fields |= {} if door == "guardian" else {"password_confirm": account.password}
        return self.ask("sign_up", "POST", path, fields, deadline=PASSWORD, asker=asker, args=(self.pw(account.password),), about=account.about,
                        writes=self.pw(account.password), mails=WELCOME if door == "guardian" else CONFIRM, note=note, **more)

    def sign_up(self):
        account, door = self.new_account(), self.random.choice(["guardian", "accesspass"])
        answer = self.until_known(lambda: self.register(account, door))
        if answer.outcome != "unknown":
            self.accounts.append(account)  # also when it was taken: by our own first try
        if len(self.accounts) > 12:
            self.accounts.pop(0)

    def at_once(self, *calls):
        """Each on a connection of its own; what they answered."""
        def run(call):
            asker = Asker(self.name, self.history, self.world.stalls, self.world.targets)
            try:
                return call(asker)
            finally:
                asker.close()
        return [future.result() for future in [self.world.pool.submit(run, call) for call in calls]]

    def sign_up_at_once(self):
        """One address, written in several ways, each with its own password: one gets it."""
        account = self.new_account()
        twins = [Account(account.about, write(account.email), write(account.name), self.vault.password()) for write in (str, str.upper, str.title)]
        targets = [self.target() for _ in twins]
        answers = self.at_once(*(lambda asker, twin=twin, target=target: self.twin(twin, asker, target) for twin, target in zip(twins, targets)))
        won = [twin for twin, answer in zip(twins, answers) if answer.ok]
        if len(won) == 1 and all(answer.outcome != "unknown" for answer in answers):
            self.accounts.append(won[0])

    def twin(self, twin, asker, target):
        return self.register(twin, "accesspass", asker=asker, target=target)

    def sign_in(self, account=None, password=None):
        account = account or self.an_account()
        if not account:
            return None
        password = password or account.password
        path, field = self.random.choice([("/login", "username"), ("/api/users/signin", "email"), ("/api/users/sign_in", "email")])
        body = {field: account.name if field == "username" else account.email, "password": password}
        opened = self.opened(account, path)

        def note(answer):
            if answer.ok:
                return opened(answer) | {"reads": self.pw(password)}
            return {"reads_not": self.pw(password)} if answer.status in (400, 401) else {}
        return self.ask("sign_in", "POST", path, body, deadline=PASSWORD, args=(self.pw(password),), about=account.about, note=note)

    def resolve(self):
        """After a change of password without an answer: which is it? By now it is one of them, for good."""
        for account in [a for a in self.accounts if a.maybe and a.until < self.history.now()]:
            for password in account.maybe:
                answer = self.until_known(lambda: self.sign_in(account, password))
                if answer.ok:
                    account.password, account.maybe = password, None
                    break

    def doubt(self, account, *passwords):
        account.maybe, account.until = [account.password, *passwords], self.history.now() + LATE
        account.sessions.clear()  # they may have ended

    def ended(self, account, sessions):
        """No gateway may let them in from here on, not even for the moment in which another hears of it."""
        self.world.dead.add(sessions)
        account.sessions = [session for session in account.sessions if session not in sessions]
        for session in sessions[:2]:
            self.show_everywhere(session)

    def change_password(self):
        account = self.an_account(known=True)
        session = account and self.a_session(account, lambda s: not s.refresh)
        if not session:
            return
        new, others = self.vault.password(), [s for s in account.sessions if s is not session]
        answer = self.ask("change_password", "PATCH", f"/api/users/{account.id}", {"password": new}, session.headers, PASSWORD, args=(self.pw(new),),
                          about=account.about, session=session.id, protected=True, writes=self.pw(new), ends=[s.id for s in others], mails=CHANGED,
                          note=lambda a: {"saw": self.world.whose(a.json["data"]["email"])} if a.ok else {})
        if answer.ok:
            account.password = new
            self.ended(account, others)
        elif answer.outcome == "unknown":
            self.doubt(account, new)
        else:
            account.sessions.remove(session)

    def remove_account(self):
        account = self.an_account(known=True)
        session = account and len(self.accounts) > 3 and self.a_session(account, lambda s: not s.refresh)
        if not session:
            return
        self.accounts.remove(account)  # whatever comes of it
        sessions = list(account.sessions)
        answer = self.until_known(lambda: self.ask("remove_account", "DELETE", f"/api/users/{account.id}", None, session.headers, about=account.about,
                                                   session=session.id, protected=True, writes=NOT_THERE, ends=[s.id for s in sessions]))
        if answer.ok:
            self.ended(account, sessions)

    # ---- mailed secrets ----
    def ask_reset(self):
        if account := self.an_account():
            self.ask("ask_reset", "POST", "/reset_password", {"username": account.name}, about=account.about, mails=RESET)

    def secret_of(self, kind):
        for account in self.accounts:
            if not account.maybe and (secret := self.world.post.take_secret(account.email.lower(), kind)):
                return account, secret
        return None, None

    def confirm(self):
        account, secret = self.secret_of(CONFIRM)
        if account:
            self.at_once(*[lambda asker, target=self.target(): self.use_confirm(account, secret, asker, target) for _ in range(AT_ONCE)])

    def use_confirm(self, account, secret, asker, target):
        return self.ask("confirm_email", "POST", "/confirm", {"confirm_id": secret}, asker=asker, target=target, about=account.about,
                        secret=self.history.hash(secret), note=self.opened(account, "accesspass"))

    def reset(self):
        account, secret = self.secret_of(RESET)
        if not account:
            return
        sessions, new = list(account.sessions), [self.vault.password() for _ in range(AT_ONCE)]
        answers = self.at_once(*[lambda asker, password=password, target=self.target(): self.use_reset(account, secret, password, sessions, asker, target)
                                 for password in new])
        won = [password for password, answer in zip(new, answers) if answer.ok]
        if won:
            account.password = won[0]
            self.ended(account, sessions)
        if any(answer.outcome == "unknown" for answer in answers):
            self.doubt(account, *new)

    def use_reset(self, account, secret, password, sessions, asker, target):
        body = {"password_id": secret, "new_password": password, "password_confirm": password}
        return self.ask("reset_password", "POST", "/change_password", body, deadline=PASSWORD, asker=asker, target=target, about=account.about,
                        args=(self.pw(password),), secret=self.history.hash(secret), writes=self.pw(password), ends=[s.id for s in sessions], mails=CHANGED)

    # ---- sessions ----
    def a_session(self, account=None, fits=lambda session: True):
        """One that should be good for some seconds more."""
        soon = self.history.now() + 4 * S
        able = [s for a in ([account] if account else self.accounts) if not a.maybe for s in a.sessions if fits(s) and (not s.expires or s.expires > soon)]
        return self.random.choice(able) if able else None

    def protected(self, op, session, method, path, body=None, **more):
        answer = self.ask(op, method, path, body, session.headers, session=session.id, protected=True, expires=session.expires, **more)
        if answer.status == 401 and session in session.account.sessions:
            session.account.sessions.remove(session)  # as any client would
        return answer

    def owner(self, answer):
        said = answer.json if answer.ok else None
        return {"saw": self.world.whose(said["ok"]["email"])} if said else {}

    def check(self):
        if session := self.a_session():
            self.protected("check", session, "GET", "/check", about=session.account.about, note=self.owner)
        else:
            self.sign_in()

    def refresh(self):
        session = next((s for a in self.accounts for s in self.random.sample(a.sessions, len(a.sessions)) if s.refresh), None)
        if not session:
            return
        answer = self.ask("refresh", "GET", "/refresh", headers={"refresh-token": session.refresh}, session=session.id, protected=True)
        if answer.ok:
            self.expire(session)
            session.token, session.expires = self.vault.add(answer.json["ok"]), answer.end + ACCESS_S * S
        elif answer.outcome == "fail":
            session.account.sessions.remove(session)

    def expire(self, session):
        """The old access token lives on for a while, and then must not."""
        self.world.dead.add([Session(session.id, session.account, session.token, session.refresh, session.expires)])

    def sign_out(self):
        if not (session := self.a_session()):
            return
        session.account.sessions.remove(session)
        self.show_everywhere(session)  # so that every gateway has an answer to remember
        answer = self.until_known(lambda: self.ask("sign_out", "POST", "/logout", None, {"access-token": session.token}, session=session.id, ends=[session.id]))
        if answer.ok:
            self.ended(session.account, [session])

    def show(self, session, target=None):
        return self.ask("probe", "GET", "/check", headers=session.headers, session=session.id, protected=True, expires=session.expires,
                        about=session.account.about, note=self.owner, target=target)

    def show_everywhere(self, session):
        for target in self.random.sample(list(self.world.targets), len(self.world.targets)):
            self.show(session, target)

    def probe(self):
        """With a token that is dead, or will be when it has expired."""
        session = self.world.dead.any(self.random)
        if session and session.refresh and self.random.random() < 0.3:
            answer = self.ask("probe", "GET", "/refresh", headers={"refresh-token": session.refresh}, session=session.id, protected=True)
            if answer.ok:  # only its access token had expired
                self.vault.add(answer.json["ok"])
        elif session:
            self.show(session)

    def forged(self):
        token = base64.b64encode(str(uuid.UUID(int=self.random.getrandbits(128), version=4)).encode()).decode()
        session = self.a_session()
        if session and self.random.random() < 0.5:
            cut = self.random.randrange(1, len(session.token) - 1)
            token = session.token[:cut] + self.random.choice("ABCabc012") + session.token[cut + 1:]
            if token == session.token:
                return
        self.ask("forged", "GET", "/check", headers={"access-token": token}, protected=True, forged=True)

    def home(self):
        self.ask("home", "GET", "/", headers={"accept": "text/html"})

    # ---- businesses ----
    def a_business(self):
        able = [(account, business) for account in self.accounts for business in account.businesses]
        account, business = self.random.choice(able) if able else (None, None)
        session = account and self.a_session()  # anybody's: they are public to whoever is signed in
        return (account, business, session) if session else (None, None, None)

    def texts(self, name, version):
        return {"name": name, "description": described(f"v{version}", name), "tag": f"v{version}"}

    def seen(self, data):
        """(whose, which version) of a business as it was answered."""
        name, tag = data["name"], data["tag"]
        return {"saw": "biz:" + name, "reads": tag if data["description"] == described(tag, name) else f"{data['description']}|{tag}"}

    def create(self):
        session = self.a_session()
        if not session:
            return
        self.count += 1
        name = f"{self.world.name}-{self.name}-{self.count}"
        answer = self.protected("create", session, "POST", "/api/businesses", {"business": self.texts(name, 0)}, about="biz:" + name, writes="v0",
                                args=(name,), note=lambda a: {"saw": "biz:" + a.json["data"]["name"]} if a.ok else {})
        if answer.ok:
            session.account.businesses = session.account.businesses[-8:] + [Business("biz:" + name, name, answer.json["data"]["id"])]

    def read(self):
        account, business, session = self.a_business()
        if business:
            self.protected("read", session, "GET", f"/api/businesses/{business.id}", about=business.about,
                           note=lambda a: self.seen(a.json["data"]) if a.ok else {"reads": NOT_THERE} if a.status == 404 else {})

    def list(self):
        account, business, session = self.a_business()

        def note(answer):
            if not answer.ok:
                return {}
            row = [row for row in answer.json["data"] if row["id"] == business.id]
            return self.seen(row[0]) if row else {"reads": NOT_THERE}
        if business:
            self.protected("list", session, "GET", f"/api/businesses?after={business.id - 1}&limit=3", about=business.about, note=note)

    def update(self):
        account, business, session = self.a_business()
        if not business:
            return
        business.version += 1
        version = business.version
        self.protected("update", session, "PATCH", f"/api/businesses/{business.id}", {"business": self.texts(business.name, version)},
                       about=business.about, writes=f"v{version}", args=(version,),
                       note=lambda a: {"saw": "biz:" + a.json["data"]["name"]} if a.ok else {"reads": NOT_THERE} if a.status == 404 else {})

    def delete(self):
        account, business, session = self.a_business()
        if not business:
            return
        answer = self.protected("delete", session, "DELETE", f"/api/businesses/{business.id}", about=business.about, writes=NOT_THERE,
                                note=lambda a: {"reads": NOT_THERE} if a.status == 404 else {})
        if answer.outcome != "unknown" and answer.status != 401:
            account.businesses.remove(business)

    # ---- the mailer, asked directly under a key of idempotency ----
    def enqueue(self):
        self.count += 1
        to = f"direct-{self.name}-{self.count}@{self.world.name}.example"
        key, first = secrets.token_hex(12), self.random.randint(1, 2)
        for n in range(REPEATS):
            if self.enqueue_once(to, key, 1 + (first + n) % 2) and n > self.random.randint(-2, 1):  # some are repeated though they were answered
                return
            if self.over.wait(0.1 * 2**n):
                return

    def enqueue_once(self, to, key, worker):
        begin, effect, status = self.history.now(), None, 0
        try:
            effect = self.wire(worker).call("mailer.Enqueue", {1: "account_created", 2: to, 4: [{1: "login", 2: "somebody"}]}, timeout_ms=2500, idempotency_key=key)[1]
            status = 200
        except RpcError as error:
            status = 504 if error.code == "DEADLINE_EXCEEDED" else 503 if error.code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED") else 400
        answer = Answer(status, b"", begin, self.history.now(), None)
        self.asker.keep("enqueue", f"mailer-{worker}", answer, 2.5, (key,), about=self.world.whose(to), key=self.history.hash(key), mails=WELCOME, effect=effect)
        return answer.ok

    def wire(self, worker):
        if worker not in self.wires:
            keys = stack.VAR / "keys"
            self.wires[worker] = WireClient(f"tcp://127.0.0.1:{stack.port(f'mailer-{worker}')}", keys / "auth-svc.key", keys / "servers/mailer-svc.pub")
        return self.wires[worker]
