"""Every block of the README runs, and every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hpo.config import load_study_config
from tests.end_to_end.support import wait_until

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = [(match[1], match[2]) for match in re.finditer(r"^```(\w+)\n(.*?)^```", README, re.S | re.M)]
SHORT = {
    "training": {"meta_batch": 2, "meta_iterations": 2, "eval_tasks": 4, "eval_every": 1, "test_tasks": 4},
    "stop": {"trials": 2},
    "pruner": {"kind": "none"},
    "execution": {"devices": "cpu", "slots_per_device": 1},
}


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def shortened(text: str) -> str:
    raw = yaml.safe_load(text)
    return yaml.safe_dump({**raw, **{section: {**raw.get(section, {}), **short} for section, short in SHORT.items()}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the reader has at hand when the commands are typed; the studies are shortened."""
    pytest.importorskip("wordfreq", reason="the quickstart needs the text extra")
    home = tmp_path_factory.mktemp("readme")
    (home / "study_configs").mkdir()
    quickstart, *_, my_study = blocks("yaml")
    (home / "study_configs/quickstart.yaml").write_text(shortened(quickstart))
    (home / "my_study.yaml").write_text(shortened(my_study))
    (home / "my_tasks.py").write_text(next(text for text in blocks("python") if "TaskFamily" in text))
    (home / "misspelt.yaml").write_text(
        "name: misspelt\ntasks: {kind: sinusoid}\nmodel: {hiden_size: 8}\nlearner: {kind: maml}\n"
    )
    run(home, "hpo launch study_configs/quickstart.yaml")
    return home


def environment(**more: str) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HPO_")}
    return {**kept, "PATH": programs, "OMP_NUM_THREADS": "1", **more}


def run(folder: Path, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def reader_commands() -> Iterator[str]:
    """Lines of the bash blocks that only read or train; the others have tests of their own below."""
    apart = (
        "make ",
        "python3 -m venv",
        ".venv/",
        "OMP_NUM_THREADS=1 .venv/",
        "export ",
        "hpo launch",
        "hpo worker",
        "hpo dashboard",
    )
    yield from (line for text in blocks("bash") for line in text.splitlines() if not line.startswith(apart))


@pytest.mark.parametrize("command", list(reader_commands()))
def test_a_command_as_printed(folder: Path, command: str) -> None:
    done = run(folder, command + (" --force" if command.startswith("hpo export") else ""))
    assert (done.stdout + done.stderr).strip()


def test_the_learner_is_used_as_printed(folder: Path) -> None:
    (folder / "support.csv").write_text("text,label\nguten morgen,de\nbonjour,fr\n")
    (folder / "query.csv").write_text("text\ndanke\nmerci\n")
    export, adapt = next(text for text in blocks("text") if "hpo adapt" in text).splitlines()
    run(folder, export)
    run(folder, adapt)
    predicted = (folder / "predictions.csv").read_text().splitlines()
    assert predicted[0] == "text,prediction,probability of de,probability of fr"
    in_python = next(text for text in blocks("python") if "ExportedLearner" in text)
    told = run(folder, f"{shlex.quote(sys.executable)} -c {shlex.quote(in_python + 'print(list(predictions))')}").stdout
    assert told.strip() == "['prediction', 'probability of de', 'probability of fr']"


def test_the_commands_by_hand_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    by_hand = [text.splitlines() for text in blocks("bash") if text.startswith("python3 -m venv")]
    recipes = [re.findall(r"^\t(.*)$", text, re.M) for text in makefile.split("\n\n") if "\t" in text]
    assert by_hand == recipes


def test_the_study_config_is_the_one_in_the_repository() -> None:
    assert blocks("yaml")[0] == (ROOT / "study_configs/quickstart.yaml").read_text()


def test_the_constraints_can_be_those_of_the_quickstart(tmp_path: Path) -> None:
    quickstart, constraints, _, _ = blocks("yaml")
    (tmp_path / "study.yaml").write_text(quickstart + constraints)
    found = load_study_config(tmp_path / "study.yaml").constraints.each
    assert ", ".join(f"{each.metric}: {each.bound:g}" for each in found) == (
        "seconds: 60, peak_memory_bytes: 2e+09, meta_parameters: 50000, query_accuracy: 0.5"
    )


def test_the_objectives_can_be_those_of_the_quickstart(tmp_path: Path) -> None:
    quickstart, _, objectives, _ = blocks("yaml")
    replaced = [line.split(":")[0] for line in objectives.splitlines()]
    kept = [line for line in quickstart.splitlines() if line.split(":")[0] not in replaced]
    (tmp_path / "study.yaml").write_text("\n".join([*kept, objectives]))
    assert load_study_config(tmp_path / "study.yaml").objective.against == ("seconds", "meta_parameters")


def test_the_clusters_can_be_those_of_the_quickstart(tmp_path: Path) -> None:
    quickstart, *executions = blocks("yaml")[0], *blocks("yml")[:2]
    kept = [line for line in quickstart.splitlines() if not line.startswith("execution:")]
    for execution, expected in zip(executions, ("ray", "slurm"), strict=True):
        (tmp_path / "study.yaml").write_text("\n".join([*kept, execution]))
        found = load_study_config(tmp_path / "study.yaml").execution
        assert (found.executor, found.workers) == (expected, 8)


def test_the_compose_file_starts_a_database_and_workers() -> None:
    compose = yaml.safe_load(blocks("yml")[2])
    database, worker = compose["services"]["database"], compose["services"]["worker"]
    assert database["image"].startswith("postgres:")
    assert worker["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert worker["environment"]["HPO_STORAGE"] == "postgresql://hpo@database/hpo"
    assert {volume.partition(":")[0] for one in (database, worker) for volume in one["volumes"]} == set(
        compose["volumes"]
    )
    assert "--forever" in help_of(worker["command"])


def help_of(command: str) -> str:
    done = subprocess.run([*command.split(), "--help"], env=environment(), capture_output=True, text=True, check=True)
    return done.stdout


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if (verify := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd is not installed")
    (unit,) = blocks("ini")
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.M)
    program = str(Path(sys.executable).parent / "hpo")
    assert "--forever" in help_of(command.replace("/opt/hpo/bin/hpo", program).replace("%i", "0"))
    path = tmp_path / "hpo-worker@.service"
    path.write_text(unit.replace("/opt/hpo/bin/hpo", program))
    done = subprocess.run([verify, "verify", str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert "hpo-worker" not in done.stderr
    assert done.returncode == 0


def test_a_task_family_of_ones_own(folder: Path) -> None:
    assert load_study_config_in(folder, "my_study.yaml") == "my_tasks:MyTasks"
    run(folder, "hpo launch my_study.yaml --storage sqlite:///own.db")
    best = json.loads(run(folder, "hpo best my_study --format json --storage sqlite:///own.db").stdout)
    assert len(best) == 2


def load_study_config_in(folder: Path, name: str) -> str:
    command = f"from hpo.config import load_study_config; print(load_study_config({name!r}).tasks.kind)"
    return run(folder, f'{sys.executable} -c "{command}"').stdout.strip()


def test_several_machines(folder: Path, postgres_url: str) -> None:
    (exports, worker) = [text for text in blocks("bash") if "HPO_STORAGE" in text or text.startswith("hpo worker")]
    export, *commands = exports.splitlines()
    assert export.startswith("export HPO_STORAGE=postgresql://")
    for command in (*commands, *worker.splitlines()):
        run(folder, command.replace("cuda:0", "cpu"), HPO_STORAGE=postgres_url)  # a GPU is not always at hand


def test_the_dashboard_starts(folder: Path) -> None:
    (command,) = [text.strip() for text in blocks("bash") if text.startswith("hpo dashboard")]
    log = folder / "dashboard.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command.split(), cwd=folder, env=environment(), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: "http://127.0.0.1:" in log.read_text(), timeout=60)
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0


def test_the_error_message_is_as_printed(folder: Path) -> None:
    (console,) = blocks("console")
    command, *expected = console.splitlines()
    done = subprocess.run(
        command.removeprefix("$ "),
        shell=True,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == expected


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?://|#)([^)#]+)\)", README))))
def test_a_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_every_config_in_the_repository_is_mentioned() -> None:
    for path in (ROOT / "study_configs").glob("*.yaml"):
        assert f"(study_configs/{path.name})" in README
        load_study_config(path)
