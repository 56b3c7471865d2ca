"""An SMTP server (aiosmtpd) that keeps every mail and misbehaves on request.

In a test:      with SmtpSink(folder) as sink: sink.set(rcpt="550 5.1.1 nobody"); ... sink.mails()
As a program:   smtp_sink.py FOLDER [--smtps] [--at HOST:PORT]     until its input ends; the port is in FOLDER/port

What it does wrong is in FOLDER/modes, read anew at each step, "name value" lines:

  banner, ehlo, mail, rcpt, data, end, quit   the reply instead of the usual one ("rcpt 550 5.1.1 nobody"); end is
                        what is said after the text of a mail. Beside a reply's text:
                            stall     nothing is ever said
                            hold      nothing, until the mode is another one; then as usual, if the client is still there
                            drop      the connection is reset
                            flood     lines of one reply, without an end
                            long      a reply of 100 KiB in one line
                            lf        the usual reply, its line ended by LF alone
  only TEXT             what is above is done to recipients that contain TEXT only (mail and banner cannot know)
  after drop            a mail is kept and its 250 said, then the connection is reset
  tls none              STARTTLS is not offered
  tls wrong, expired    the certificate is another host's, or has expired
  tls inject            a reply is slipped in behind the one to STARTTLS
  tls refuse            STARTTLS is answered 454
  tls ask               who shows no certificate of the same CA is sent away (FOLDER/client.pem with client.key is one)
  least 1               nothing is offered but STARTTLS: no 8BITMIME, no SIZE, and lines of 7 bits and 1000 bytes only are taken
  auth 1                nobody may send without AUTH; the only user is busi, password "s3cret pass"

FOLDER/ca.pem is what a client trusts. A mail is N.eml, with N.envelope beside: from, to, HELO name, tls or plain, user."""
import asyncio, itertools, pathlib, ssl, subprocess, sys, threading, warnings

warnings.simplefilter("ignore")
from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"busi", b"s3cret pass"
NAME = "mailer-relay.test"


# ---- certificates ----
def make_certificates(folder):
    """A CA; good.pem for 127.0.0.1, localhost and NAME, wrong.pem for another host, expired.pem; client.pem of a client."""
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", 2, "-subj", "/CN=test CA",
            "-addext", "basicConstraints=critical,CA:TRUE")
    (folder / "index").write_text("")
    rows = [("good", f"IP:127.0.0.1,DNS:localhost,DNS:{NAME}", "20200101000000Z", "20991231000000Z"),
            ("wrong", "DNS:mail.example.org", "20200101000000Z", "20991231000000Z"),
            ("expired", "IP:127.0.0.1,DNS:localhost", "20200101000000Z", "20200102000000Z"),
            ("client", "DNS:mailer.example.org", "20200101000000Z", "20991231000000Z")]
    for name, names, begins, ends in rows:
        (folder / "ca.conf").write_text(
            "[ca]\ndefault_ca=c\n[c]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
            f"unique_subject=no\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName={names}\n")
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.csr",
                "-out", f"{name}.crt", "-startdate", begins, "-enddate", ends, "-notext")
        (folder / f"{name}.pem").write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())


def tls_context(folder, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{'good' if name == 'ask' else name}.pem")
    if name == "ask":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.pem")
    return context


# ---- one connection ----
class Session(SMTP):
    sink, modes, client = None, {}, None

    async def misbehave(self, step, recipient=""):
        """True: the step has been answered already, or never will be."""
        modes = self.sink.modes()
        do = modes.get(step)
        if not do or modes.get("only", "") not in recipient:
            return False
        if do == "stall":
            await asyncio.sleep(3600)
        elif do == "hold":
            self.sink.held += 1
            while self.sink.modes().get(step) == "hold":
                await asyncio.sleep(0.02)
            return self.transport is None or self.transport.is_closing() or self._reader.at_eof()
        elif do == "drop":
            self.transport.abort()
        elif do == "flood":
            for _ in range(20000):  # enough to be endless; a TLS transport does not always say that it has closed
                if self.transport is None or self.transport.is_closing():
                    break
                self._writer.write(b"250-and so on\r\n" * 100)
                await self._writer.drain()
                await asyncio.sleep(0.0005)
        elif do == "long":
            await self.push("250 " + "x" * 100 * 1024)
        elif do == "lf":
            return False
        else:
            await self.push(do)
        return True

    async def push(self, status):
        text = status if isinstance(status, bytes) else status.encode("latin-1")
        if "least" in self.sink.modes() and text.upper().startswith((b"250-8BITMIME", b"250-SIZE", b"250-SMTPUTF8")):
            return
        if self.sink.modes().get("tls") == "inject" and text.startswith(b"220 Ready"):
            text += b"\r\n250 slipped in"
        end = b"\n" if "lf" in self.sink.modes().values() else b"\r\n"
        self._writer.write(text + end)
        await self._writer.drain()

    async def _handle_client(self):
        self.sink.connections += 1
        if await self.misbehave("banner"):
            self.transport.close()
            return
        try:
            await super()._handle_client()
        except (ConnectionError, ssl.SSLError):
            pass

    async def smtp_EHLO(self, name):
        if not await self.misbehave("ehlo"):
            await super().smtp_EHLO(name)

    async def smtp_STARTTLS(self, argument):
        if self.sink.modes().get("tls") == "refuse":
            await self.push("454 4.7.0 not now")
        else:
            await super().smtp_STARTTLS(argument)

    async def smtp_MAIL(self, argument):
        if not await self.misbehave("mail"):
            await super().smtp_MAIL(argument)

    async def smtp_RCPT(self, argument):
        self.sink.tried.append(argument)
        if not await self.misbehave("rcpt", argument):
            await super().smtp_RCPT(argument)

    async def smtp_DATA(self, argument):
        if not await self.misbehave("data", " ".join(self.envelope.rcpt_tos)):
            await super().smtp_DATA(argument)


    async def smtp_QUIT(self, argument):
        self.sink.quits += 1
        if not await self.misbehave("quit"):
            await super().smtp_QUIT(argument)


class Handler:
    def __init__(self, sink):
        self.sink = sink

    async def handle_DATA(self, server, session, envelope):
        if "least" in self.sink.modes() and not (envelope.original_content.isascii() and max(map(len, envelope.original_content.split(b"\r\n"))) <= 998):
            return "554 5.6.3 not of 7 bits"
        if await server.misbehave("end", " ".join(envelope.rcpt_tos)):
            server.transport.close()
            return "451 4.3.0 said already"
        self.sink.keep(session, envelope)
        if self.sink.modes().get("after") == "drop":
            await server.push("250 OK")
            server.transport.abort()
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    fine = mechanism in ("PLAIN", "LOGIN") and (data.login, data.password) == (USER, PASSWORD)
    return AuthResult(success=fine, handled=False, auth_data=data.login if fine else None)


# ---- the server ----
class SmtpSink:
    def __init__(self, folder, smtps=False, host="127.0.0.1"):
        self.folder, self.smtps, self.host = pathlib.Path(folder), smtps, host
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "ca.pem").exists():
            make_certificates(self.folder)
        self.contexts = {name: tls_context(self.folder, name) for name in ("good", "wrong", "expired", "ask")}
        self.ca, self.port, self.connections, self.tried = self.folder / "ca.pem", None, 0, []
        self.quits = self.held = 0
        self.numbers, self.loop = itertools.count(1), asyncio.new_event_loop()
        self.server, self.thread = None, threading.Thread(target=self.loop.run_forever, daemon=True)

    def modes(self):
        try:
            return dict(line.split(" ", 1) for line in (self.folder / "modes").read_text("latin-1").split("\n") if " " in line)
        except FileNotFoundError:
            return {}

    def set(self, **modes):
        fresh = self.folder / "modes.new"
        fresh.write_text("".join(f"{name} {value}\n" for name, value in modes.items()))
        fresh.rename(self.folder / "modes")

    def factory(self):
        modes = self.modes()
        tls = modes.get("tls", "good")
        context = None if tls == "none" or self.smtps else self.contexts.get(tls, self.contexts["good"])
        session = Session(Handler(self), hostname="sink.test", tls_context=context, authenticator=authenticate,
                          auth_required="auth" in modes, auth_require_tls=not self.smtps, loop=self.loop)
        session.sink = self
        return session

    def keep(self, session, envelope):
        number = next(self.numbers)
        secure = "tls" if session.ssl or self.smtps else "plain"
        user = session.auth_data.decode() if isinstance(session.auth_data, bytes) else "-"
        (self.folder / f"{number}.envelope").write_text(
            "\n".join([envelope.mail_from, *envelope.rcpt_tos, session.host_name or "-", secure, user]) + "\n")
        fresh = self.folder / f"{number}.new"
        fresh.write_bytes(envelope.original_content)
        fresh.rename(self.folder / f"{number}.eml")

    def mails(self):
        """Every mail so far, in the order of arrival."""
        names = sorted(self.folder.glob("*.eml"), key=lambda path: int(path.stem))
        return [path.read_bytes() for path in names]

    def start(self, port=0):
        async def listen():
            context = self.contexts.get(self.modes().get("tls", "good"), self.contexts["good"]) if self.smtps else None
            return await self.loop.create_server(self.factory, self.host, port, ssl=context, reuse_address=True)
        if not self.thread.is_alive():
            self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(listen(), self.loop).result(10)
        self.port = self.server.sockets[0].getsockname()[1]
        (self.folder / "port").write_text(str(self.port))
        return self

    def refuse(self):
        """No longer listens; connections that are there stay. start(port) undoes it."""
        self.loop.call_soon_threadsafe(self.server.close)

    def listens(self):
        return self.server is not None and self.server.is_serving()

    def stop(self):
        async def end():
            self.server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    __enter__ = start

    def __exit__(self, *unused):
        self.stop()


if __name__ == "__main__":
    host, port = sys.argv[sys.argv.index("--at") + 1].split(":") if "--at" in sys.argv else ("127.0.0.1", "0")
    sink = SmtpSink(sys.argv[1], "--smtps" in sys.argv[2:], host)
    sink.start(int(port))
    sys.stdin.read()
    sink.stop()
