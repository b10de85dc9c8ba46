"""The API key: order of its sources, redaction."""

import pytest

from edgevoice import ConfigError, logs
from edgevoice.config import settings_from
from edgevoice.secrets import systemd_credential
from edgevoice_plugins.lightning.options import api_key


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Puts keys into a file, a credential and the environment."""

    def put(*, file=None, credentials=None, environment=None):
        text = ""
        if file is not None:
            (tmp_path / "key").write_bytes(file)
            text = f"lightning: {{api_key_file: {tmp_path}/key}}"
        if credentials is not None:
            (tmp_path / "credentials").mkdir()
            (tmp_path / "credentials" / "api_key").write_bytes(credentials)
            monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
        if environment is not None:
            monkeypatch.setenv("SMALLEST_API_KEY", environment)
        return settings_from(text).section("lightning")

    return put


def test_order_of_sources(places, monkeypatch):
    settings = places(file=b" sk_file_1\n", credentials=b"sk_credential_1\n", environment="sk_environment_1")
    assert api_key(settings) == "sk_credential_1"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert api_key(settings) == "sk_file_1"


def test_credential_replaces_unusable_file(places):
    with pytest.raises(ConfigError, match="the file is empty"):
        places(file=b"")
    assert api_key(places(file=b"", credentials=b"sk_credential_2")) == "sk_credential_2"


def test_environment_is_last(places):
    assert api_key(places(credentials=b"\n", environment=" sk_environment_2 ")) == "sk_environment_2"


@pytest.mark.parametrize("environment", [None, "", "  "])
def test_no_key(places, environment):
    assert api_key(places(environment=environment)) is None


def test_binary_credential_is_ignored(places):
    places(credentials=b"\xff\xfe")
    assert systemd_credential("api_key") is None
    assert systemd_credential("another") is None


def test_key_is_redacted(places):
    assert "correct-horse-3" in logs.redact("the key is correct-horse-3")
    api_key(places(environment="correct-horse-3"))
    assert "correct-horse-3" not in logs.redact("the key is correct-horse-3")
