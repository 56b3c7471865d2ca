"""A Redis between auth-svc and the real one: it hands everything on, and when told to says something else, or says it too late."""
import re, socket, threading, time


def _line(file):
    line = file.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError
    return line


def _value(file):
    """One whole value of the protocol, its bytes as they are."""
    line = _line(file)
    if line[:1] == b"$" and int(line[1:]) >= 0:
        return line + file.read(int(line[1:]) + 2)
    if line[:1] == b"*" and int(line[1:]) >= 0:
        return line + b"".join(_value(file) for _ in range(int(line[1:])))
    return line


GREETING = (b"AUTH", b"SELECT", b"PING", b"CLIENT", b"INFO")


class LyingRedis:
    """url: of the real one. lie: bytes said instead of each answer but to greetings, or a function of (words, answer) -> bytes;
    delay: seconds each of those waits. silent: nothing is said at all."""

    def __init__(self, url):
        self.password, port, self.db = re.fullmatch(r"redis://:(.*)@127\.0\.0\.1:(\d+)/(\d+)", url).groups()
        self.real, self.lie, self.delay, self.lies, self.silent = int(port), None, 0, 0, False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"redis://:{self.password}@127.0.0.1:{self.listener.getsockname()[1]}/{self.db}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.real)) as real:
            asked, answers = client.makefile("rb"), real.makefile("rb")
            try:
                while True:
                    command = _value(asked)
                    words = command.split(b"\r\n")[2::2]
                    real.sendall(command)
                    answer = _value(answers)
                    if words[0].upper() not in GREETING and (self.lie is not None or self.delay):
                        time.sleep(self.delay)
                        if self.lie is not None:
                            self.lies += 1
                            answer = self.lie(words, answer) if callable(self.lie) else self.lie
                    if not self.silent:
                        client.sendall(answer)
            except (OSError, ValueError, IndexError):
                pass

    def close(self):
        self.listener.close()
