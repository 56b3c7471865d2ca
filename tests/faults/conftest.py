import time
import pytest
import stack


@pytest.fixture(scope="module")  # a module may end with an empty Redis
def token():
    return stack.sign_up(f"faults-{time.time_ns()}@example.com")


@pytest.fixture(scope="module", autouse=True)
def stack_of_a_module(request):
    """It begins with everything running; one with a whole_stack of its own sees to that itself."""
    if not hasattr(request.module, "whole_stack"):
        stack.local("up")


@pytest.fixture(autouse=True)
def whole_stack(stack_of_a_module):
    """Every test leaves things with everything running."""
    yield
    stack.local("up")
