#!/usr/bin/python3
"""Whose token is it? Needs pyzmq and msgpack; client.py beside it is the whole client.

    echo "$TOKEN" | ./check_token.py tcp://127.0.0.1:5001 billing.key auth-svc.pub
"""
import sys

from client import Client, RpcError

USER_ID, EMAIL, ROLES = 1, 5, 12  # fields of `principal`, proto/messages.def


def main(endpoint, own_key, service_certificate):
    auth = Client(endpoint, own_key, service_certificate)
    try:
        who = auth.call("auth.CheckToken", {1: sys.stdin.readline().strip()}, timeout_ms=3000, request_id="example-2")
    except RpcError as error:
        if error.code != "UNAUTHENTICATED":  # says nothing of the token: try again later
            print(error, file=sys.stderr)
            return 2
        print("nobody's")
        return 1
    print(f"user {who[USER_ID]}, {who.get(EMAIL, '')}, roles: {who.get(ROLES, '')}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 4 else __doc__)
