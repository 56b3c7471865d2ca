"""The mails that reached the relay: recorded, and their secrets handed to whom they were sent."""
import collections, email, email.policy, re, threading, time

LINK = re.compile(r"/(?:confirm|password-reset|magic-link)/([A-Za-z0-9]{48})")


class Post:
    """Reads what the sink has written, as it comes."""

    def __init__(self, history, sink, vault, domain):
        self.history, self.folder, self.vault, self.domain, self.over = history, sink.folder, vault, domain, threading.Event()
        self.secrets, self.number, self.lock = collections.defaultdict(list), 0, threading.Lock()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.over.wait(0.05):
            self.look()

    def look(self):
        with self.lock:
            while (path := self.folder / f"{self.number + 1}.eml").exists():
                self.number += 1
                self.take(email.message_from_bytes(path.read_bytes(), policy=email.policy.default))

    def take(self, mail):
        to, kind = str(mail["to"]).lower(), str(mail["subject"])
        if not to.endswith(self.domain):
            return  # of an earlier run on these servers
        found = LINK.search(mail.get_body(("plain",)).get_content())
        secret = found.group(1) if found else None
        self.history.add("mail", to=self.history.hash(to), kind=kind, message_id=self.history.hash(str(mail["message-id"])),
                         secret=secret and self.history.hash(secret))
        if secret:
            self.vault.add(secret)
            self.secrets[to, kind].append(secret)

    def take_secret(self, to, kind):
        """The newest of a kind, and forgets all older; None when there is none."""
        mine = self.secrets.pop((to, kind), None)
        return mine[-1] if mine else None

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        self.thread.join(10)
        self.look()
