import pytest
import house


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
