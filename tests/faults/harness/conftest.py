import pytest


@pytest.fixture(autouse=True)
def whole_stack():
    """Most of what is tested here needs no servers; what does sees to them itself."""
    yield
