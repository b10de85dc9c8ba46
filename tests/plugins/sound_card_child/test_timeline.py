from edgevoice_plugins.sound_card_child.timeline import Gap, PlayoutTimeline

#: A frame is a millisecond.
RATE = 1000


def new_timeline() -> PlayoutTimeline:
    return PlayoutTimeline(RATE, capacity=60, step=20)


def test_played_follows_the_room_in_the_device() -> None:
    timeline = new_timeline()
    timeline.add_sound(60, now=0.0)
    timeline.update(room=20, now=0.02)
    assert timeline.played == 20


def test_played_does_not_count_trailing_silence() -> None:
    timeline = new_timeline()
    timeline.add_sound(30, now=0.0)
    timeline.add_silence(30, now=0.0)
    timeline.update(room=20, now=0.02)
    assert timeline.played == 20
    timeline.update(room=40, now=0.04)
    assert timeline.played == 30


def test_sound_left_is_interpolated_between_two_steps() -> None:
    timeline = new_timeline()
    timeline.add_sound(60, now=0.0)
    timeline.update(room=20, now=0.02)
    assert [timeline.sound_left(now) for now in (0.02, 0.03, 0.04)] == [40, 30, 20]


def test_sound_left_is_interpolated_for_one_step_only() -> None:
    timeline = new_timeline()
    timeline.add_sound(60, now=0.0)
    assert timeline.sound_left(now=9.0) == 40
    assert timeline.played == 0


def test_is_drained_after_the_device_latency() -> None:
    timeline = new_timeline()
    timeline.add_sound(20, now=0.0)
    timeline.add_silence(40, now=0.0)
    timeline.update(room=20, now=0.02)
    assert timeline.played == 20
    assert not timeline.is_drained(now=0.04)
    timeline.update(room=40, now=0.04)
    assert not timeline.is_drained(now=0.045)
    assert timeline.is_drained(now=0.051)


def test_is_played_up_to_a_little_after_the_next_start() -> None:
    timeline = new_timeline()
    timeline.add_sound(20, now=0.0)
    timeline.add_sound(40, now=0.0)
    assert timeline.is_played_up_to(0, now=0.0)
    timeline.update(room=20, now=0.02)
    assert not timeline.is_played_up_to(20, now=0.025)
    assert timeline.is_played_up_to(20, now=0.031)


def test_gap_none_without_silence() -> None:
    timeline = new_timeline()
    timeline.add_sound(20, now=0.0)
    assert timeline.gap_before_sound(0, now=0.01) is Gap.NONE


def test_gap_surplus_once_the_previous_sound_is_drained() -> None:
    timeline = new_timeline()
    timeline.add_sound(20, now=0.0)
    timeline.add_silence(20, now=0.0)
    assert timeline.gap_before_sound(0, now=0.01) is Gap.NONE
    timeline.add_silence(20, now=0.0)
    timeline.update(room=20, now=0.02)
    assert timeline.gap_before_sound(0, now=0.03) is Gap.NEEDED
    timeline.update(room=40, now=0.04)
    assert timeline.gap_before_sound(0, now=0.051) is Gap.SURPLUS


def test_gap_surplus_once_the_lead_in_was_played() -> None:
    timeline = new_timeline()
    timeline.add_silence(60, now=0.0)
    timeline.update(room=20, now=0.02)
    timeline.add_silence(20, now=0.02)
    assert timeline.gap_before_sound(80, now=0.02) is Gap.NONE
    assert timeline.gap_before_sound(35, now=0.03) is Gap.NEEDED
    assert timeline.gap_before_sound(35, now=0.036) is Gap.SURPLUS
