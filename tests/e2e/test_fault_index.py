"""tests/faults.md is true: every row says what tries it, or why nothing does; what it names is there; and every row of the harness is named."""
import fnmatch, os, pathlib, re, subprocess, sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
WHY = "not tried: "


def harness_rows():
    """By a Python of its own: the harness and these tests have modules of the same names."""
    done = subprocess.run([sys.executable, "-c", "from rows import ROWS\nfor row in ROWS: print(row.name)"], cwd=TESTS / "faults/harness",
                          env=os.environ | {"PYTHONPATH": str(TESTS / "faults"), "PYTHONDONTWRITEBYTECODE": "1"}, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def index():
    """(fault, what is required, what tries it) of every row of every table."""
    found = []
    for line in (TESTS / "faults.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[2] != "tried by":
            found.append((*cells[:2], re.findall(r"`([^`]+)`", cells[2])))
    return found


def is_there(test):
    """A function of a Python file, or a Criterion test."""
    file, name = test.split("::")
    text = (TESTS / file).read_text() if (TESTS / file).is_file() else ""
    return re.search(rf"^def {name}\(" if file.endswith(".py") else rf"^Test\(\w+, {name}[,)]", text, re.M) is not None


def test_each_row_is_true():
    rows, names = index(), harness_rows()
    assert len(rows) > 50
    nowhere = [fault for fault, required, tried in rows if not required or bool(tried) == required.startswith(WHY)]
    assert not nowhere, nowhere
    wrong = [(fault, what) for fault, _, tried in rows for what in tried if not (is_there(what) if "::" in what else fnmatch.filter(names, what))]
    assert not wrong, wrong


def test_no_row_of_the_harness_is_missing():
    named = {what for _, _, tried in index() for what in tried if "::" not in what}
    assert [name for name in harness_rows() if not any(fnmatch.fnmatch(name, what) for what in named)] == []
