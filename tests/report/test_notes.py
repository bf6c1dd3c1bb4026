from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hpo.report import notes
from hpo.results import queries
from hpo.results.engine import Database
from hpo.results.rows import StudyRow, TrialDetail

EVIL = "<img src=x onerror=alert(1)> **bold** [link](javascript:alert(1)) `code` | pipe\\"
STUDY = "few-shot languages"
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def best(database: Database) -> TrialDetail:
    return queries.trial(database, STUDY, 2)


@pytest.fixture
def row(database: Database) -> StudyRow:
    return queries.study(database, STUDY)


def block(note: str) -> str:
    """The YAML in a note."""
    return note.split("```yaml\n")[1].split("\n```")[0]


def test_the_note_of_a_trial(best: TrialDetail) -> None:
    config = {
        "tasks": {"kind": "language_id", "ways": 5},
        "learner": {"kind": "maml", "inner_steps": 3, "inner_lr": 0.15},
        "training": {"outer_lr": 0.002, "seed": 0},
    }
    note = notes.trial_note(replace(best, config=config), "query_loss")
    assert note + "\n" == (GOLDEN / "trial_note.md").read_text()


def test_the_note_of_a_study(row: StudyRow) -> None:
    tasks = {"kind": "language_id", "ways": 5, "shots": 5}
    assert (
        notes.study_note(replace(row, config={**row.config, "tasks": tasks}), {}) + "\n"
        == (GOLDEN / "study_note.md").read_text()
    )


@pytest.mark.parametrize(
    ("steps", "said"),
    [("best", "after adaptation with the number of inner steps that is best there"), (7, "with 7 inner steps")],
)
def test_the_note_of_a_study_says_after_which_steps(row: StudyRow, steps: object, said: str) -> None:
    objective = {"metric": "query_loss", "inner_steps": steps}
    assert said in notes.study_note(replace(row, config={**row.config, "objective": objective}), {})


def test_the_note_of_a_trial_marks_the_steps_that_it_was_judged_by(best: TrialDetail) -> None:
    judged = replace(best, trial=replace(best.trial, objective_inner_steps=1))
    note = notes.trial_note(judged, "query_loss")
    assert "** after 1 inner step |" in note
    assert "| **1** |" in note
    assert "| **1** |" not in notes.trial_note(best, "query_loss")


def test_what_others_wrote_is_no_markup(database: Database, row: StudyRow) -> None:
    failed = queries.trial(database, STUDY, 4)
    assert EVIL in "".join(token.content for token in _text_tokens(notes.trial_note(failed, "query_loss")))
    renamed = replace(row, name=EVIL, metric="a|`b`")
    assert EVIL in "".join(token.content for token in _text_tokens(notes.study_note(renamed, {"luckiest": EVIL})))


def _text_tokens(markdown: str) -> list[Any]:
    """Asserts that nothing is HTML, a link, or an image other than the curve."""
    inline = [child for token in PARSER.parse(markdown) for child in token.children or []]
    blocks = {token.type for token in PARSER.parse(markdown)}
    assert "html_block" not in blocks
    assert not {"html_inline", "link_open"} & {token.type for token in inline}
    return inline


def test_a_long_reason_has_a_block_of_its_own(best: TrialDetail) -> None:
    reason = "Traceback:\n" + "```\n<b>\n" * 400
    failed = replace(best, trial=replace(best.trial, outcome="error", reason=reason))
    note = notes.trial_note(failed, "query_loss")
    fences = [token for token in PARSER.parse(note) if token.type == "fence"]
    assert fences[0].content.strip() == reason[:2000].strip()
    assert "| reason" not in note


def test_a_trial_without_results_has_a_short_note(best: TrialDetail) -> None:
    unknown = replace(
        best.trial,
        outcome=None,
        state="FAIL",
        value=None,
        sem=None,
        seconds=None,
        device=None,
        peak_memory_bytes=None,
        gradients=None,
    )
    bare = TrialDetail(unknown, config=None, reports=(), curves=())
    assert notes.trial_note(bare, "query_loss") == "| outcome | **fail** |\n| :-- | :-- |"


def test_a_trial_that_violates_a_constraint_says_which(best: TrialDetail) -> None:
    violating = replace(best, trial=replace(best.trial, violated="seconds at most 20: 34"))
    assert "| violates | seconds at most 20\\: 34 |" in notes.trial_note(violating, "query_loss")


def test_the_note_of_a_study_lists_its_constraints(row: StudyRow) -> None:
    constrained = replace(row, config={**row.config, "constraints": {"seconds": 60.0}})
    assert "| constraints | seconds at most 60 |" in notes.study_note(constrained, {})
    assert "constraints" not in notes.study_note(row, {})


def test_the_note_of_a_study_says_what_its_objective_is_traded_against(row: StudyRow) -> None:
    traded = replace(row, config={**row.config, "objective": {"against": ["seconds", "meta_parameters"]}})
    assert "| traded against | `seconds`, `meta_parameters` |" in notes.study_note(traded, {})
    assert "traded" not in notes.study_note(row, {})


def test_a_retried_trial_says_so(best: TrialDetail) -> None:
    retried = replace(best, trial=replace(best.trial, attempts=2))
    assert "| attempts | 2: " in notes.trial_note(retried, "query_loss")


def test_the_path_of_the_curve_is_in_the_note(best: TrialDetail) -> None:
    path = notes.image_path(best.trial.study_id, best.trial.trial_id)
    assert notes.trial_note(best, "query_loss").count(f"![adaptation curve]({path})") == 1


def test_the_config_is_the_trials_and_marks_what_is_searched(best: TrialDetail) -> None:
    written = block(notes.trial_note(best, "query_loss"))
    assert yaml.safe_load(written) == best.config
    marked = {line.split(":")[0].strip() for line in written.splitlines() if line.endswith("# searched")}
    assert marked == {"inner_lr", "inner_steps", "cell"}
    assert max(map(len, written.splitlines())) <= 100  # longer lines make the page scroll sideways


printable = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | printable
sections = st.dictionaries(
    st.text("abc_", min_size=1, max_size=8), scalars | st.lists(scalars, max_size=30), max_size=6
)


@given(st.dictionaries(st.sampled_from(["model", "learner"]), sections), st.booleans())
def test_any_config_can_be_read_back(config: dict[str, Any], marked: bool) -> None:
    searched = {f"{section}.{field}": 0 for section in config for field in config[section]} if marked else {}
    assert (yaml.safe_load(notes._config_yaml(config, searched)) or {}) == config


def test_a_study_of_an_unknown_kind_has_a_note(row: StudyRow) -> None:
    """The dashboard may run where a user's own task family cannot be imported."""
    config = {**row.config, "tasks": {"kind": "my_module:MyTasks", "shots": 5}, "search": {}}
    note = notes.study_note(replace(row, config=config), {})
    assert "`my_module:MyTasks`" in note
    assert "Nothing: every trial has the same config." in note
    assert "`None`" in notes.study_note(replace(row, config={}), {})


@pytest.mark.parametrize(
    ("config", "steps"),
    [
        (None, None),
        ({}, None),
        ({"learner": None}, None),
        ({"learner": {"inner_steps": 4}}, 4),
        ({"learner": {}}, None),
    ],
)
def test_the_steps_trained_for(config: dict[str, Any] | None, steps: int | None) -> None:
    assert notes.trained_steps(config) == steps
