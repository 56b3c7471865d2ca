import os, pathlib, shutil, subprocess, sys
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import ROOT  # noqa: E402


@pytest.fixture(scope="session")
def deploy(tmp_path_factory):
    """A copy of deploy/ whose dev overlay has keys."""
    folder = tmp_path_factory.mktemp("copy") / "deploy"
    for name in ("kubernetes", "postgres", "grafana"):
        shutil.copytree(ROOT / "deploy" / name, folder / name, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([folder / "kubernetes/keys", "--binaries", os.environ["BUSI_TEST_BIN"]], check=True, timeout=60)
    return folder / "kubernetes"
