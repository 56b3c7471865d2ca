"""The mails the house has sent, as they lie in its folder."""
import email, email.policy, re, time
from house import VAR

FOLDER = VAR / "mail"
_read = {}  # by file


def _mail(path):
    if path not in _read:
        _read[path] = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return _read[path]


def mails(to, kind):
    """Those of a kind (mailer-svc/kinds.def) to an address, oldest first."""
    files = [path for path in FOLDER.glob(f"*-{kind}.eml") if path.name.split("-")[0].isdigit()]
    files.sort(key=lambda path: int(path.name.split("-")[0]))
    return [_mail(path) for path in files if str(_mail(path)["to"]) == to]


def wait_for_mail(to, kind, number=1):
    """The number-th mail of a kind to an address."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        there = mails(to, kind)
        if len(there) >= number:
            return there[number - 1]
        time.sleep(0.05)
    raise AssertionError(f"no mail {number} of kind {kind} to {to}")


def text_of(mail, kind="plain"):
    return mail.get_body((kind,)).get_content()


def link_of(mail):
    """(path of the page, secret)"""
    path, secret = re.search(r"^http://[^/]+(/(?:confirm|password-reset|magic-link)/(\S+))\r?$", text_of(mail), re.M).groups()
    assert re.fullmatch("[A-Za-z0-9]{48}", secret), secret
    return path, secret


def confirm_id(to, number=1):
    return link_of(wait_for_mail(to, "confirm_email", number))[1]


def password_id(to, number=1):
    return link_of(wait_for_mail(to, "reset_password", number))[1]


def magic_link(to, number=1):
    return link_of(wait_for_mail(to, "magic_link", number))[1]
