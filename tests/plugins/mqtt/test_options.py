"""The options of the source `mqtt`: where the broker is, and whose password opens it."""

import pytest

from edgevoice.errors import ConfigError
from edgevoice_plugins.mqtt.options import CREDENTIAL, Mqtt, Tls, broker_of, client_id_of

PASSWORD = "correct-horse-battery"


def test_a_password_comes_from_its_file_or_from_a_credential(tmp_path, monkeypatch):
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    named = Mqtt(host="broker", username="ev", password_file=str(file))
    assert broker_of(named).password == PASSWORD
    assert PASSWORD not in repr(broker_of(named))
    (tmp_path / CREDENTIAL).write_text("from systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert broker_of(Mqtt(host="broker", username="ev")).password == "from systemd"
    assert broker_of(named).password == PASSWORD


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_password_file_that_is_missing_or_empty_is_a_mistake(tmp_path, content):
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"mqtt\.password_file: .*password is (missing|empty)"):
        broker_of(Mqtt(host="broker", username="ev", password_file=str(file)))


def test_all_mistakes_are_told_at_once(tmp_path):
    garbage = tmp_path / "ca.crt"
    garbage.write_text("no certificate")
    options = Mqtt(password_file=str(tmp_path / "none"), tls=Tls(ca_file=str(garbage)))
    with pytest.raises(ConfigError) as caught:
        broker_of(options)
    assert [mistake.path for mistake in caught.value.issues] == [
        "mqtt.password_file",
        "mqtt.username",
        "mqtt.tls.ca_file",
    ]


def test_the_port_follows_tls_and_the_client_id_stays_the_same():
    assert broker_of(Mqtt(host="b")).port == 1883
    assert broker_of(Mqtt(host="b", tls=True)).port == 8883
    assert broker_of(Mqtt(host="b", tls=True, port=1)).port == 1
    assert client_id_of(Mqtt(), "pi") == client_id_of(Mqtt(), "pi")
    assert client_id_of(Mqtt(), "pi").startswith("edgevoice-pi-")
    assert client_id_of(Mqtt(), "pi") != client_id_of(Mqtt(), "attic")
    assert client_id_of(Mqtt(client_id="mine"), "pi") == "mine"
