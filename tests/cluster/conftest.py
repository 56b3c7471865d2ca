import os, pathlib, shutil, sys, tempfile
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from house import House


@pytest.fixture(scope="session")
def house():
    folder = tempfile.mkdtemp(prefix="busi-cluster-")
    made = None
    try:
        made = House(folder)
        yield made
    finally:
        if made:
            made.close()
        if not os.environ.get("BUSI_TEST_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print("kept", folder)
