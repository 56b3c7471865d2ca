import time
import pytest
import stack


@pytest.fixture(scope="module")  # a module may end with an empty Redis
def token():
    return stack.sign_up(f"faults-{time.time_ns()}@example.com")


@pytest.fixture(autouse=True)
def whole_stack():
    """Every test begins, and leaves things, with everything running."""
    stack.local("up")
    yield
    stack.local("up")
