import pytest
import house


def pytest_make_parametrize_id(config, val, argname):
    """Long values do not belong into the names of tests."""
    text = repr(val)
    return text if len(text) <= 40 else f"{argname}-of-{len(text)}"


@pytest.fixture(scope="session")
def email():
    return house.new_email()


@pytest.fixture(scope="session")
def token(email):
    """Of an account that every test of the session may use."""
    return house.sign_up(email)


@pytest.fixture
def business(token):
    return house.create_business(token)
