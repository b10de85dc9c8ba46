"""The options of the source `mqtt`: the broker's address and login."""

import pytest

from edgevoice import ConfigError
from edgevoice_plugins.mqtt.options import CREDENTIAL, Mqtt, Tls, broker_of, client_id_of

PASSWORD = "correct-horse-battery"


def test_password_from_file_or_credential(tmp_path, monkeypatch):
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
def test_unusable_password_file_is_an_issue(tmp_path, content):
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        broker_of(Mqtt(host="broker", username="ev", password_file=str(file)))
    assert [issue.path for issue in caught.value.issues] == ["mqtt.password_file"]


def test_byte_order_mark_is_not_part_of_the_password(tmp_path):
    file = tmp_path / "password"
    file.write_bytes(b"\xef\xbb\xbfsecret\r\n")
    assert broker_of(Mqtt(host="broker", username="ev", password_file=str(file))).password == "secret"


def test_all_issues_are_reported(tmp_path):
    garbage = tmp_path / "ca.crt"
    garbage.write_text("not a certificate")
    options = Mqtt(password_file=str(tmp_path / "none"), tls=Tls(ca_file=str(garbage)))
    with pytest.raises(ConfigError) as caught:
        broker_of(options)
    assert [issue.path for issue in caught.value.issues] == [
        "mqtt.password_file",
        "mqtt.username",
        "mqtt.tls.ca_file",
    ]


def test_default_port_and_client_id():
    assert broker_of(Mqtt(host="b")).port == 1883
    assert broker_of(Mqtt(host="b", tls=True)).port == 8883
    assert broker_of(Mqtt(host="b", tls=True, port=1)).port == 1
    assert client_id_of(Mqtt(), "pi") == client_id_of(Mqtt(), "pi")
    assert client_id_of(Mqtt(), "pi").startswith("edgevoice-pi-")
    assert client_id_of(Mqtt(), "pi") != client_id_of(Mqtt(), "attic")
    assert client_id_of(Mqtt(client_id="mine"), "pi") == "mine"
