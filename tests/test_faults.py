"""A fault is said once when it comes and once when it goes."""

import logging

from edgevoice.faults import Faults


def test_a_fault_is_told_when_it_comes_changes_and_goes_and_not_between(caplog):
    caplog.set_level(logging.INFO)
    faults, changes = Faults(), []
    faults.subscribe(lambda: changes.append(faults.of("kitchen")))
    for sentence in (None, "gone", "gone", "gone for good", None, None):
        faults.set("speaker kitchen", sentence)
    assert changes == ["gone", "gone for good", None]
    assert [record.message for record in caplog.records] == [
        "speaker kitchen: gone",
        "speaker kitchen: gone for good",
        "speaker kitchen: works again",
    ]


def test_a_speaker_shows_its_own_first_and_what_all_share_and_not_its_neighbours():
    faults = Faults()
    faults.set("lightning", "no credit")
    faults.set("speaker bath", "wet")
    faults.set("speaker kitchen", "unplugged")
    assert faults.of("kitchen") == "unplugged; lightning: no credit"
    assert faults.of_output("kitchen") == "unplugged"
    assert faults.of("attic") == "lightning: no credit"
    assert faults.of_output("attic") is None
