"""What happened in a run, one record a line: what clients asked and were told, what was broken and when, what was found at the end.

Every record is a flat object with a "type"; times are nanoseconds since the run began, on the harness' own clock.

op      an operation of a client
        n, client, op, target    number, who, what (clients.py), which gateway
        args                     a keyed hash of what was sent; key and secrets are nowhere in the file
        invoke, return           when it was sent, and when the answer was there
        outcome, status          ok, fail (refused: nothing may have changed) or unknown; the HTTP status, 0 without an answer
        about, saw               whose data was asked for, and whose came
        echo                     whether the answer bears the id of this request
        bare                     a 503 that does not say when to come back
        writes, reads, reads_not what of `about` was to become, and was seen to be ("-": it is not there) or not to be
        opens, session, ends     sessions: one begun, the one whose token was used, those that an ok ends
        protected, expires       only a living session may be served; its token is good no longer
        forged                   the token was never anybody's
        secret                   a mailed secret that was used
        key                      of idempotency; effect: what the service says it made
        mails                    the kind of mail an ok promises to `about`
        deadline                 seconds in which there must be an answer
        stall                    how late the harness itself was meanwhile
fault   a row of the table (rows.py) as it was applied: row, begin, broken (it is by now), mending (until then), cleared (it is
        mended), bound, target, breaks, and what it excuses; holds: what was on its way when it began goes on when it ends
died    a process that ended though no row let it: name, words (its last)
left    a row that could not be played on this machine: row, why
mail    one that reached the relay: to, kind, message_id, secret
seen    what the stores held at the end: what (account, business, audit), about, n, value, name
sample  of a process: name, pid, fds, threads, rss
leak    where a secret was found: where, what
run     the first: seed, and how the run was asked for"""
import hashlib, json, os, threading, time

NOT_THERE = "-"
S = 1_000_000_000  # nanoseconds


class History:
    """Records of all threads; written through to a file."""

    def __init__(self, path=None):
        self.records, self.lock, self.key, self.began = [], threading.Lock(), os.urandom(32), time.monotonic_ns()
        self.file = open(path, "w", buffering=1) if path else None

    def now(self):
        return time.monotonic_ns() - self.began

    def hash(self, *parts):
        """The same thing has the same name in the whole run, and nobody else can say what it was."""
        return hashlib.blake2b(repr(parts).encode(), key=self.key, digest_size=8).hexdigest()

    def add(self, type, **fields):
        record = {"type": type} | {name: value for name, value in fields.items() if value is not None}
        with self.lock:
            if type == "op":
                record["n"] = len(self.records)
            self.records.append(record)
            if self.file:
                self.file.write(json.dumps(record) + "\n")
        return record

    def close(self):
        if self.file:
            self.file.close()


def load(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines]


def of(records, type):
    return [record for record in records if record["type"] == type]


def by(records, field):
    """Lists of records that have the field, by its value."""
    groups = {}
    for record in records:
        if field in record:
            groups.setdefault(record[field], []).append(record)
    return groups
