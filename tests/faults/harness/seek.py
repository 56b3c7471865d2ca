"""Looks for secrets where none may be."""
import re

TOKEN = re.compile(rb"[A-Za-z0-9_.\-]{40,}")
BLOCK = 4 * 1024 * 1024
OVERLAP = 2048


def blocks(path, start):
    """The file's bytes from there; each block begins with the end of the one before."""
    with open(path, "rb") as file:
        file.seek(start)
        end = b""
        while more := file.read(BLOCK):
            yield end + more
            end = more[-OVERLAP:]


def found_in(data, mark, tokens):
    """mark: stands in every password."""
    if mark in data:
        yield "a password"
    for word in TOKEN.findall(data):
        if word in tokens or any(part in tokens for part in re.split(rb"[^A-Za-z0-9]", word) if len(part) == 48):
            yield "a token"


def leaks(paths, vault, known={}):
    """(file, what) of every one; known: up to where a file was there before there were secrets."""
    mark, tokens, found = vault.mark.encode(), {token.encode() for token in vault.tokens}, set()
    for path in paths:
        try:
            for data in blocks(path, known.get(path, 0)):
                found.update((str(path), what) for what in found_in(data, mark, tokens))
        except OSError:
            pass  # gone meanwhile
    return sorted(found)
