"""What a process asks of the C library, failed by a library that is loaded into it (preload/): memory, random bytes, hosts' names.

An Environment is what it is started with; who has it changes its mind at any time. The libraries want no rights."""
import contextlib, http.client, mmap, os, pathlib, re
import stack

BIN = pathlib.Path(os.environ["BUSI_TEST_BIN"])

# Libraries that end the process when they get no memory or no random bytes, and what they say: (library, its last words, why that is so).
ENDS = [
    ("libzmq", r"FATAL ERROR: OUT OF MEMORY \(src/|Cannot allocate memory \(src/", "alloc_assert() and errno_assert(), in every socket and each CURVE frame"),
    ("libstdc++", r"terminate called (after throwing an instance of '(std::|St9)bad_alloc'|without an active exception)", "operator new throws, and nobody in C catches"),
    ("jansson", r'"event":"no_memory"', "it would misread; we end it (crypto/jwt_claims.c)"),
    ("libsodium", r'"event":"no_random_bytes"', "sodium_misuse(); we say why (crypto/secret.c)"),
    ("ld.so", r"cannot allocate memory for thread-local data: ABORT|cannot create TLS data structures", "a library's thread-local data, at its first use in a thread"),
    ("busi", r'"event":"cannot_start"', "it had not begun to serve"),
]
UNSPARING = ("libzmq", "libstdc++")  # of them: those that ask for memory all the time


class Page:
    """Numbers in a file that the process has mapped; by their names, in the order of the library's struct."""
    variable, library, names = None, None, ()

    def __init__(self, path):
        path.unlink(missing_ok=True)  # one that somebody has mapped stays as long as he
        path.write_bytes(bytes(8 * len(self.names)))
        self.path = path
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)

    def __getitem__(self, name):
        at = 8 * self.names.index(name)
        return int.from_bytes(self.memory[at:at + 8], "little")

    def __setitem__(self, name, value):
        at = 8 * self.names.index(name)
        self.memory[at:at + 8] = value.to_bytes(8, "little")

    def environment(self):
        return {"LD_PRELOAD": str(BIN / f"{self.library}.so"), self.variable: str(self.path)}


class Memory(Page):
    """Nothing is refused to libraries that cannot stand it, unless unsparing."""
    variable, library, names = "FAULT_MEMORY", "fault-memory", ("first", "last", "one_in", "seed", "seen", "refused")

    def __init__(self, path, unsparing=False):
        super().__init__(path)
        self.unsparing = unsparing

    def environment(self):
        return super().environment() | ({} if self.unsparing else {"FAULT_MEMORY_SPARES": ",".join(UNSPARING)})

    def refuse(self, first=1, last=2**63, one_in=1, seed=0):
        """Of the allocations from here on those with these numbers."""
        self["first"] = 0
        for name, value in (("last", last), ("one_in", one_in), ("seed", seed), ("seen", 0), ("refused", 0), ("first", first)):
            self[name] = value

    def count(self):
        self.refuse(last=0)

    def calm(self):
        """How many were refused."""
        self["first"] = 0
        return self["refused"]


class Entropy(Page):
    variable, library, names = "FAULT_ENTROPY", "fault-entropy", ("mode", "asked")
    GIVEN, REFUSED, ZERO = range(3)

    def set(self, mode):
        self["asked"], self["mode"] = 0, mode

    def calm(self):
        """How often it was asked for some."""
        self["mode"] = self.GIVEN
        return self["asked"]


class Clock(Page):
    """A wall clock that is set while the process runs."""
    variable, library, names = "FAULT_CLOCK_PAGE", "fault-clock", ("seconds",)

    def set(self, seconds):
        self["seconds"] = seconds % 2**64


class Names:
    """What names mean to a process: say("auth-1.test", "127.0.0.2")."""

    def __init__(self, path):
        self.path, self.answers = path, {}
        self.write()

    def write(self):
        fresh = self.path.with_suffix(".new")
        fresh.write_text("".join(f"{name} {answer}\n" for name, answer in self.answers.items()))
        fresh.rename(self.path)

    def say(self, name, *words):
        """Addresses; or none, empty, fails; before them perhaps after=MS."""
        self.answers[name] = " ".join(words)
        self.write()

    def environment(self):
        return {"LD_PRELOAD": str(BIN / "fault-names.so"), "FAULT_NAMES": str(self.path)}


def unruly(status, words):
    """Why an end (as the shell tells its status) is none that a process may choose for want of memory or random bytes; None: it is."""
    if status == 0 or any(re.search(last, words) for _, last, _ in ENDS) and status in (1, 127, 128 + 6):
        return None
    return f"ended with status {status}, and its last words were {words.strip().splitlines()[-3:]}"


def why_ended(page, status, words):
    """What is wrong about an end for want of memory; None: nothing. A library that is spared cannot be why."""
    why = unruly(status, words)
    spared = not page.unsparing and not re.search(dict((name, last) for name, last, _ in ENDS)["jansson"], words)
    return why or ("ended, though only our own calls were refused any" if spared else None)


CHEAP = {"BUSI_PASSWORD_MEMORY": "8M", "BUSI_PASSWORD_PASSES": "1"}


class Loaded:
    """A process of the stack with the page's library in it, until it is left: then it is stopped, and `up` starts it as it was."""

    def __init__(self, name, page):
        self.name, self.page = name, page
        self.pid_file, self.log = stack.VAR / f"run/{name}.pid", stack.VAR / f"logs/{name}.log"

    def launch(self):
        program = "gateway" if self.name == "gateway" else self.name.split("-")[0] + "-svc"
        env = {key: value for key, value in os.environ.items() if not key.startswith("BUSI_")} | CHEAP
        self.said = self.log.stat().st_size
        stack.launch([BIN / program, "--config", stack.VAR / f"config/{self.name}.conf"], self.pid_file, self.log, env, self.page.environment())

    def start(self):
        self.launch()
        stack.wait_until(self.is_ready, 20, f"{self.name} is ready")

    def is_ready(self):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", stack.port(self.name + "-health"), timeout=2)
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        return False

    def lives(self):
        return stack.lives(stack.pid(self.name))

    def end(self):
        """Its status, and what it has said since it began."""
        stack.wait_until(lambda: stack.end_of(self.pid_file) is not None, 5, f"{self.name} has ended")
        return stack.end_of(self.pid_file), self.log.read_bytes()[self.said:].decode(errors="replace")

    def __enter__(self):
        stack.local("stop", self.name)
        self.start()
        return self

    def __exit__(self, *unused):
        self.page.calm()
        with contextlib.suppress(AssertionError):
            stack.local("stop", self.name)
