"""The words of the magic surface."""
import base64, itertools, os, time
from urllib.parse import urlencode
from house import *
from mails import *

AUTH, ADMIN, LOG = "/magic/system/auth/", "/magic/system/magic/", "/magic/system/log/"
TICKET_PASSWORD = "correct horse battery"
_count = itertools.count()


def new_name():
    return f"m{os.getpid()}-{time.time_ns() % 10**14}-{next(_count)}"


# ---- requests: arguments of GET and DELETE are a query, of others a body ----
def call(method, path, token=None, headers=None, at=None, **arguments):
    arguments = {name.rstrip("_"): value for name, value in arguments.items()}
    if method in ("GET", "DELETE"):
        query = "?" + urlencode(arguments) if arguments else ""
        return ask(method, path + query, token=token, headers=headers, at=at)
    return ask(method, path, arguments, token=token, headers=headers, at=at)


def authenticate(name, password=TICKET_PASSWORD, **more):
    return call("GET", AUTH + "authenticate", username=name, password=password, **more)


def basic(name, password=TICKET_PASSWORD):
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def register(name, address, password=TICKET_PASSWORD, **more):
    return call("POST", AUTH + "register", username=name, password=password, extra={"email": address}, **more)


# ---- what is expected ----
def expect_message(answer, status, message, field=None):
    """The shape of Magic's errors, byte for byte."""
    wanted = {"message": message} | ({"field": field} if field else {})
    expect_json(answer, status, wanted)
    assert answer.raw.decode() == json.dumps(wanted, indent=2, ensure_ascii=False), answer
    return answer


def expect_denied(answer):
    return expect_message(answer, 401, "Access denied")


def expect_result(answer, result, status=200):
    return expect_json(answer, status, {"result": result})


def expect_ticket(answer):
    expect_status(answer, 200)
    assert answer.headers["cache-control"] == "no-store", answer
    return answer.json["ticket"]


def is_good(ticket):
    result = expect_status(get(AUTH + "verify-ticket", ticket), 200).json["result"]
    assert result in ("success", "failure"), result
    return result == "success"


# ---- accounts ----
class Account:
    """A new one, registered and confirmed: a guest with a ticket."""

    def __init__(self, **more):
        self.name, self.email, self.password = new_name(), new_email(), TICKET_PASSWORD
        expect_result(register(self.name, self.email, **more), "confirm-email-address-email-sent")
        self.secret = confirm_id(self.email)
        self.ticket = expect_ticket(call("POST", AUTH + "verify-email", username=self.name, token_=self.secret))

    def sign_in(self, password=None):
        return expect_ticket(authenticate(self.name, password or self.password))


def make_root():
    """As an operator makes one: its ticket."""
    address = new_email()
    sign_up(address)
    sql("INSERT INTO auth.users_roles(user_id, role_id) SELECT users.id, roles.id FROM auth.users, auth.roles"
        f" WHERE users.email = '{address}' AND roles.name = 'root'")
    return expect_ticket(authenticate(address, PASSWORD))
