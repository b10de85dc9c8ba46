"""The section `lightning`: the warning about an API key that could be read on the way."""

import pytest

from edgevoice_plugins.lightning.options import API_KEY_VARIABLE, LightningOptions, option_warnings


@pytest.mark.parametrize(
    "url", ["http://192.168.1.7:8080", "http://nas.local", "http://localhost.example.org", "http://[fd00::7]"]
)
def test_key_over_plain_http_is_a_warning(monkeypatch, url):
    monkeypatch.setenv(API_KEY_VARIABLE, "sk_secret")
    [(key, sentence)] = option_warnings(LightningOptions(base_url=url))
    assert key == "base_url"
    assert sentence == f"the API key is sent unencrypted to {url.removeprefix('http://')}; use https://"


@pytest.mark.parametrize(
    "url",
    [None, "https://192.168.1.7", "http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"],
)
def test_key_over_tls_or_loopback_is_no_warning(monkeypatch, url):
    monkeypatch.setenv(API_KEY_VARIABLE, "sk_secret")
    assert option_warnings(LightningOptions(base_url=url)) == []


def test_plain_http_without_key_is_no_warning(monkeypatch):
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)
    assert option_warnings(LightningOptions(base_url="http://nas.local")) == []
