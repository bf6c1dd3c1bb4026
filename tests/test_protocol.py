import math

import pytest
from pydantic import ValidationError

from hpo import protocol
from hpo.records import Estimate, Outcome, Report, TrialOutcome, TrialSpec

SPEC = TrialSpec(trial_id=1, number=0, config={"a": {"b": [1, 2.5, "c"]}}, device="cpu", threads=2)
OUTCOME = TrialOutcome(outcome=Outcome.DIVERGED, reason="line\nbreak", seconds=1.5)


@pytest.mark.parametrize(
    "message",
    [
        protocol.Train(spec=SPEC),
        protocol.Train(spec=SPEC, together=8),
        protocol.Prune(trial_id=3),
        protocol.Stop(trial_id=3),
    ],
)
def test_commands_are_one_line_and_come_back_equal(message: protocol.Command) -> None:
    line = protocol.to_line(message)
    assert line.count("\n") == 1
    assert protocol.command(line) == message


@pytest.mark.parametrize(
    "message",
    [
        protocol.Ready(),
        protocol.Reported(
            trial_id=1, report=Report(meta_iteration=5, objective=Estimate(mean=math.inf, sem=0.0), seconds=2.0)
        ),
        protocol.Checkpointed(trial_id=1, meta_iteration=5, path="/a b/ü"),
        protocol.Finished(trial_id=1, outcome=OUTCOME),
        protocol.Stopped(trial_id=1, meta_iteration=9),
    ],
)
def test_events_are_one_line_and_come_back_equal(message: protocol.Event) -> None:
    line = protocol.to_line(message)
    assert line.count("\n") == 1
    assert protocol.event(line) == message


@pytest.mark.parametrize("line", ["", "{}", '{"type": "fly"}', '{"type": "prune"}', "not json"])
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        protocol.command(line)
