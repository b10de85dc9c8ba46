from edgevoice_plugins.sound_card_child.tape import Before, Tape

RATE = 1000
"""A frame is a millisecond."""


def tape() -> Tape:
    return Tape(RATE, capacity=60, step=20)


def test_what_the_card_has_room_for_again_was_heard() -> None:
    one = tape()
    one.give(60, now=0.0)
    one.look(room=20, now=0.02)
    assert one.heard == 20


def test_silence_behind_the_sound_is_not_counted_as_heard() -> None:
    one = tape()
    one.give(30, now=0.0)
    one.give_silence(30, now=0.0)
    one.look(room=20, now=0.02)
    assert one.heard == 20
    one.look(room=40, now=0.04)
    assert one.heard == 30


def test_between_two_steps_the_clock_tells_how_much_is_left() -> None:
    one = tape()
    one.give(60, now=0.0)
    one.look(room=20, now=0.02)
    assert [one.sound_left(now) for now in (0.02, 0.03, 0.04)] == [40, 30, 20]


def test_a_card_that_stands_still_is_believed_for_one_step_only() -> None:
    one = tape()
    one.give(60, now=0.0)
    assert one.sound_left(now=9.0) == 40
    assert one.heard == 0


def test_a_sound_is_out_only_when_some_silence_has_gone_after_it() -> None:
    one = tape()
    one.give(20, now=0.0)
    one.give_silence(40, now=0.0)
    one.look(room=20, now=0.02)
    assert one.heard == 20
    assert not one.is_out(now=0.04)
    one.look(room=40, now=0.04)
    assert not one.is_out(now=0.045)
    assert one.is_out(now=0.051)


def test_what_follows_may_be_dropped_when_a_little_of_it_was_heard() -> None:
    one = tape()
    one.give(20, now=0.0)
    one.give(40, now=0.0)
    assert one.is_past(0, now=0.0)
    one.look(room=20, now=0.02)
    assert not one.is_past(20, now=0.025)
    assert one.is_past(20, now=0.031)


def test_the_next_sound_follows_at_once_where_no_silence_stands_before_it() -> None:
    one = tape()
    one.give(20, now=0.0)
    assert one.before_sound(0, now=0.01) is Before.NOTHING


def test_a_little_silence_is_left_and_much_of_it_is_dropped_when_the_last_sound_is_out() -> None:
    one = tape()
    one.give(20, now=0.0)
    one.give_silence(20, now=0.0)
    assert one.before_sound(0, now=0.01) is Before.NOTHING
    one.give_silence(20, now=0.0)
    one.look(room=20, now=0.02)
    assert one.before_sound(0, now=0.03) is Before.WANTED
    one.look(room=40, now=0.04)
    assert one.before_sound(0, now=0.051) is Before.SILENCE


def test_a_lead_in_is_played_to_its_end_and_no_longer() -> None:
    one = tape()
    one.give_silence(60, now=0.0)
    one.look(room=20, now=0.02)
    one.give_silence(20, now=0.02)
    assert one.before_sound(80, now=0.02) is Before.NOTHING
    assert one.before_sound(35, now=0.03) is Before.WANTED
    assert one.before_sound(35, now=0.036) is Before.SILENCE
