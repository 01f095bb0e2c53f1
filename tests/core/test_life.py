"""What a task used over its life, in bounded room."""

from gristmill.supervisor.core.life import KEPT, POINTS, Life, Lives


def test_a_second_is_a_point() -> None:
    life = Life(100.0)
    for second in range(1, 11):
        life.see(100.0 + second + 0.02 * (-1) ** second, second / 10, second * 1e6)
    view = life.view()
    assert view.step_s == 1.0
    assert view.cpu == [round(second / 10, 2) for second in range(1, 11)]
    assert view.memory_bytes[-1] == 10_000_000


def test_a_long_life_takes_no_more_room_and_keeps_means_and_peaks() -> None:
    life = Life(0.0)
    for second in range(1, 10_001):
        life.see(float(second), 1.0 if second > 5000 else 0.0, 5e9 if second == 3000 else 1e9)
    view = life.view()
    assert POINTS // 2 <= len(view.cpu) <= POINTS
    assert view.step_s * len(view.cpu) >= 10_000 - view.step_s
    assert max(view.memory_bytes) == 5_000_000_000
    assert abs(sum(view.cpu) / len(view.cpu) - 0.5) < 0.02
    assert view.memory_bytes.index(5_000_000_000) == int(3000 // view.step_s)


def test_a_silence_is_told_as_what_came_after_it() -> None:
    life = Life(0.0)
    life.see(1.0, 1.0, 10)
    life.see(1000.0, 0.5, 20)
    view = life.view()
    assert len(view.cpu) <= POINTS and view.step_s * len(view.cpu) >= 990
    first = (1.0 + 15 * 0.5) / 16  # its second, and the fifteen after it
    assert (view.step_s, view.cpu[0], view.cpu[-1], view.memory_bytes[-1]) == (16.0, round(first, 2), 0.5, 20)


def test_lives_of_ended_tasks_are_kept_for_a_while() -> None:
    lives = Lives()
    lives.see(0.0, [("1.0.1", 1.0, 5.0)])
    lives.see(1.0, [("1.0.1", 1.0, 5.0)])
    lives.see(2.0, [])
    assert (found := lives.of("1.0.1")) is not None and found.memory_bytes == [5]
    for number in range(KEPT + 1):
        lives.see(3.0 + number, [(f"2.{number}.1", 1.0, 1.0)])
    assert lives.of("1.0.1") is None
    assert lives.of("9.9.9") is None
