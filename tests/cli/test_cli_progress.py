"""What a launch shows: lines for a log, a block for a terminal."""

from __future__ import annotations

import io
import os
import pty
import select
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from hpo.cli.live import LiveDisplay, PlainDisplay, display, render
from hpo.cli.progress import EndedTrial, Progress, RunningTrial, counts, most_frequent_failure, new_lines, standing
from hpo.records import Estimate, Outcome


def estimate(mean: float) -> Estimate:
    return Estimate(mean=mean, sem=0.0123)


FIRST = EndedTrial(7, Outcome.OK, estimate(0.79), 30.0)
SECOND = EndedTrial(11, Outcome.OK, estimate(0.8123), 34.0)
PRUNED = EndedTrial(8, Outcome.PRUNED, estimate(1.4), 6.0)
FAILED = EndedTrial(9, Outcome.DIVERGED, None, 2.0, "the loss is nan\nat meta-iteration 3")
RUNNING = RunningTrial(12, "cuda:0", 150, 300, estimate(0.91))
EMPTY = Progress("lab [bold]", "running", "minimize", 24, running=(RUNNING,), elapsed_s=5.0)


def with_ended(*ended: EndedTrial) -> Progress:
    return replace(EMPTY, ended=ended)


def rendered(now: Progress, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(render(now))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return str(text)


def test_a_line_for_each_trial_that_has_ended() -> None:
    assert new_lines(with_ended(FIRST), with_ended(FIRST, SECOND)) == [
        "[ 2/24] trial 11 ok 0.812 ± 0.012 (best 0.790 ± 0.012, trial 7) 34 s"
    ]


def test_a_failure_is_told_with_the_first_line_of_its_reason() -> None:
    assert new_lines(EMPTY, with_ended(FAILED)) == ["[ 1/24] trial 9 diverged the loss is nan 2 s"]


def test_each_line_knows_the_best_of_its_own_moment() -> None:
    lines = new_lines(EMPTY, with_ended(SECOND, PRUNED, FIRST))
    assert ["trial 11)" in line for line in lines] == [True, True, False]
    assert "best 0.790 ± 0.012, trial 7" in lines[2]


def test_a_resumed_study_is_summed_up_not_repeated() -> None:
    assert new_lines(None, with_ended(FIRST, SECOND)) == [
        "going on: 2 of 24 trials have ended before (best 0.790 ± 0.012, trial 7)"
    ]
    assert new_lines(None, EMPTY) == []


def test_nothing_new_is_no_line() -> None:
    assert new_lines(with_ended(FIRST), with_ended(FIRST)) == []


def test_what_is_to_be_maximized_is() -> None:
    now = replace(with_ended(FIRST, SECOND), direction="maximize")
    assert now.best == SECOND


def test_pruned_and_failed_trials_are_never_the_best() -> None:
    assert with_ended(replace(PRUNED, objective=estimate(0.1)), FAILED).best is None


def test_counts() -> None:
    assert counts(with_ended(FIRST, PRUNED, FAILED)) == "1 running · 1 pruned · 1 failed"


@pytest.mark.parametrize("ended", [(), (FIRST,)])
def test_no_forecast_from_too_little(ended: tuple[EndedTrial, ...]) -> None:
    assert with_ended(*ended).seconds_left is None


def test_the_forecast_counts_what_runs_and_shares_the_rest() -> None:
    now = replace(with_ended(FIRST, SECOND), running=(RUNNING, replace(RUNNING, meta_iteration=0)))
    assert now.seconds_left == pytest.approx((24 - 2 - 0.5) * 32.0 / 2)
    assert replace(now, running=()).seconds_left is None


def test_the_forecast_is_never_negative() -> None:
    assert replace(with_ended(FIRST, SECOND), total=2).seconds_left == 0.0


def test_the_most_frequent_reason_wins() -> None:
    other = EndedTrial(1, Outcome.OUT_OF_MEMORY, None, 1.0, "CUDA out of memory")
    assert most_frequent_failure(with_ended(FAILED, other, other)) == "out_of_memory: CUDA out of memory"
    assert most_frequent_failure(with_ended(FIRST)) is None


def test_the_block() -> None:
    text = rendered(with_ended(FIRST, PRUNED))
    for part in ("lab [bold]", "2/24 trials", "1 running · 1 pruned · 0 failed", "best 0.790 ± 0.012 (trial 7)"):
        assert part in text
    for part in ("5 s elapsed", "left", "trial 12", "cuda:0", "150/300", "0.910 ± 0.012"):
        assert part in text


def test_the_block_of_a_study_that_has_only_begun() -> None:
    text = rendered(EMPTY)
    assert "no result yet" in text
    assert "time left not known yet" in text


def test_the_block_of_a_study_that_has_ended_promises_nothing() -> None:
    text = rendered(replace(with_ended(FIRST, SECOND), total=2, running=()))
    assert "5 s elapsed" in text
    for part in ("left", "Ctrl-C"):
        assert part not in text


def test_in_a_narrow_terminal_the_bar_shrinks_first() -> None:
    last = rendered(with_ended(FIRST), width=56).splitlines()[-1]
    assert last.startswith("trial 12  cuda:0  ━")
    assert last.endswith("150/300  0.910 ± 0.012")
    assert len(rendered(with_ended(FIRST), width=30).splitlines()) == len(rendered(with_ended(FIRST)).splitlines()) + 2


def test_plain_lines_only_for_changes_and_after_a_minute_of_silence() -> None:
    stream = io.StringIO()
    with PlainDisplay(stream) as shown:
        for elapsed_s, ended in ((1, ()), (2, (FIRST,)), (30, (FIRST,)), (62, (FIRST,)), (63, (FIRST,))):
            shown.update(replace(EMPTY, ended=ended, elapsed_s=float(elapsed_s)))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("[ 1/24] trial 7 ok")
    assert lines[1] == standing(replace(EMPTY, ended=(FIRST,), elapsed_s=62.0))
    assert lines[1] == "[ 1/24] after 1 min 02 s: trial 12 at 150/300 on cuda:0"
    assert len(lines) == 2


def show_in_a_terminal(show: Callable[[io.TextIOWrapper], None]) -> str:
    """What a pseudo-terminal receives."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        show(stream)
    received = b""
    while select.select([master], [], [], 0.2)[0]:
        try:
            received += os.read(master, 65536)
        except OSError:  # Linux: the other end is closed
            break
    os.close(master)
    return received.decode()


def test_a_terminal_gets_a_block_that_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)

    def show(stream: io.TextIOWrapper) -> None:
        shown = display(stream)
        assert isinstance(shown, LiveDisplay)
        with shown:
            shown.say("study lab [bold]: 24 trials")
            shown.update(EMPTY)
            shown.update(with_ended(FIRST))

    received = show_in_a_terminal(show)
    assert "study lab [bold]: 24 trials" in received  # markup characters stay
    assert "[ 1/24] trial 7 ok" in received
    assert received.count("trial 12") >= 3  # drawn, redrawn, and once more at the end
    assert "\x1b[1A" in received  # the cursor moves up over the old block
    assert received.index("\x1b[?25l") < received.rindex("\x1b[?25h")  # the cursor comes back


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    received = show_in_a_terminal(lambda stream: display(stream).update(with_ended(FIRST)))
    assert received == "going on: 1 of 24 trials have ended before (best 0.790 ± 0.012, trial 7)\r\n"


def test_a_file_gets_lines() -> None:
    assert isinstance(display(io.StringIO()), PlainDisplay)
