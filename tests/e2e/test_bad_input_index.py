"""tests/bad-input.md is true: every number has a row, every file of a row has the number, and no test has a number without a row."""
import pathlib, re

TESTS = pathlib.Path(__file__).resolve().parents[1]
NUMBERS = {"X": "01 02 03 04 05 07 08 09 10 11 13 14 15 16 17 19 20 21 22 23", "Z": "01 02 03 04 06 07 08 09 10 12", "D": "01 02 03 04 06 07 08 09",
           "M": "01 02 03 04 06 07 08 09 10 12 13 14 15 16 18 19 20 21 22 24 25 26 27 28 30 31 32 33 34 36"}


def numbers_in(file):
    """In comments, or in the names of tests."""
    text = file.read_text(errors="replace")
    found = re.findall(r"\b([XMZD])-(\d\d)\b", text) + [number for name in re.findall(r"def (test_\w+)", text) for number in re.findall(r"_([xmzd])(\d\d)(?=_)", name)]
    return {f"{kind.upper()}-{number}" for kind, number in found}


def test_each_row_is_true_and_none_is_missing():
    rows = {number: set(re.findall(r"`([^`]+)`", files)) for number, files in re.findall(r"^\| ([XMZD]-\d\d) \|[^|]+\|([^|]+)\|$", (TESTS / "bad-input.md").read_text(), re.M)}
    assert set(rows) == {f"{kind}-{number}" for kind, numbers in NUMBERS.items() for number in numbers.split()}
    assert all(rows.values())
    sources = [file for folder in ("unit", "e2e", "faults", "wire", "threads") for pattern in ("*.c", "*.py") for file in (TESTS / folder).rglob(pattern)
               if file.name != pathlib.Path(__file__).name]
    found = {str(file.relative_to(TESTS)): numbers_in(file) for file in sources}
    there = {number: {file for file, numbers in found.items() if number in numbers} for number in rows}
    assert rows == there, {number: rows[number] ^ there[number] for number in rows if rows[number] != there[number]}
    assert set().union(*found.values()) <= set(rows)
