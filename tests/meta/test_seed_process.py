"""What the process of one seed answers, with real trainings of tiny networks."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

from hpo.config import TrialConfig
from hpo.meta import seed_process
from hpo.meta.from_scratch import STEPS
from hpo.meta.seed_process import MESSAGES, Job, Message, SeedFailure, SeedResult
from hpo.records import Outcome, Report

Make = Callable[..., TrialConfig]


def answers(config: TrialConfig, device: str = "cpu") -> list[Message]:
    outbox = io.StringIO()
    seed_process.run(Job(config=config.to_dict(), device=device), outbox)
    return [MESSAGES.validate_json(line) for line in outbox.getvalue().splitlines()]


def test_it_reports_and_then_scores_every_test_task(trial_config: Make) -> None:
    *reports, result = answers(trial_config("sinusoid", tasks__window=4))
    assert [report.meta_iteration for report in reports if isinstance(report, Report)] == [2, 4, 6]
    assert isinstance(result, SeedResult)
    for scores in (result.adapted, result.unadapted, result.from_scratch):
        assert len(scores.loss) == len(set(scores.loss)) == 4
        assert scores.accuracy is None  # a regression
    assert (result.adapted.steps, result.unadapted.steps) == (2, 0)
    assert result.from_scratch.steps in STEPS


def test_classifications_have_an_accuracy(trial_config: Make) -> None:
    result = answers(trial_config())[-1]
    assert isinstance(result, SeedResult)
    for scores in (result.adapted, result.unadapted, result.from_scratch):
        assert scores.accuracy is not None
        assert len(scores.accuracy) == len(scores.loss)


def test_what_validation_chose_is_what_it_is_tested_with(trial_config: Make) -> None:
    sections = {"learner__inner_lr": 0.01, "training__eval_steps": 6}
    *reports, result = answers(trial_config(**sections, objective__inner_steps="best"))
    assert isinstance(result, SeedResult)
    assert isinstance(reports[-1], Report)
    assert result.adapted.steps == reports[-1].inner_steps == 6  # so small steps are never too many
    given, trained = (answers(trial_config(**sections, objective__inner_steps=n))[-1] for n in (6, "trained"))
    assert isinstance(given, SeedResult)
    assert isinstance(trained, SeedResult)
    assert (given.adapted, trained.adapted.steps) == (result.adapted, 2)
    assert trained.adapted.loss != given.adapted.loss


def test_it_tells_why_a_training_failed(trial_config: Make) -> None:
    result = answers(trial_config("sinusoid", tasks__window=4, learner__inner_steps=5, learner__inner_lr=100.0))[-1]
    assert isinstance(result, SeedFailure)
    assert result.outcome is Outcome.DIVERGED
    (refusal,) = answers(trial_config(), device="cuda:99")
    assert isinstance(refusal, SeedFailure)
    assert refusal.reason.startswith("cuda:99: ")


def test_its_messages_need_no_torch() -> None:
    code = "import sys, hpo.meta.seed_process; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
