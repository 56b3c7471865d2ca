"""What the clients of a run own: accounts, sessions, businesses; and all that must stay secret."""
import dataclasses, random, secrets, threading

DEAD_MOST = 3000  # ended sessions that are tried again and again


@dataclasses.dataclass
class Session:
    id: str              # as the history calls it
    account: "Account"
    token: str           # that opens doors
    refresh: str = None  # accesspass' alone
    expires: int = None  # of token, by the run's clock

    @property
    def headers(self):
        return {"authorization": "Bearer " + self.token}


@dataclasses.dataclass
class Account:
    about: str                 # as the history calls it
    email: str
    name: str
    password: str
    id: int = None             # known of those that came by guardian's door
    maybe: list = None         # passwords one of which it has, from `until` on
    until: int = 0
    sessions: list = dataclasses.field(default_factory=list)
    businesses: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Business:
    about: str
    name: str
    id: int
    version: int = 0


def described(tag, name):
    """What a business' description says: of each fourth at length."""
    return f"{tag} {name}" + " and tea" * 100 * (int(name.rsplit("-", 1)[1]) % 4 == 0)


class Vault:
    """All that must stand nowhere."""

    def __init__(self):
        self.mark, self.tokens, self.lock = "hush" + secrets.token_hex(6), set(), threading.Lock()

    def password(self):
        return f"{self.mark}-{secrets.token_urlsafe(9)}"

    def add(self, token):
        with self.lock:
            self.tokens.add(token)
        return token


class Dead:
    """Sessions whose end was acknowledged, for everybody to try."""

    def __init__(self):
        self.sessions, self.lock = [], threading.Lock()

    def add(self, sessions):
        with self.lock:
            self.sessions += sessions
            if len(self.sessions) > DEAD_MOST:
                del self.sessions[:len(self.sessions) - DEAD_MOST]

    def any(self, random_of_client):
        with self.lock:
            recent = self.sessions[-20:] if random_of_client.random() < 0.4 else self.sessions
            return random_of_client.choice(recent) if recent else None
