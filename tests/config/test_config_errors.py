"""What bad input gets: file:line, what was found, what was expected, the nearest valid name; never pydantic's words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpo.config import load_study_config
from hpo.errors import ConfigError

BASE = """\
name: q
tasks: {kind: language_id, ways: 5}
learner: {kind: maml, inner_lr: 0.1}
"""
SEARCH = BASE + "search:\n"
PYDANTIC = re.compile(
    r"Input should|Value error|valid (string|integer)|Extra inputs|Field required|validation error|\[type="
)


def refused(tmp_path: Path, text: str | bytes) -> list[str]:
    """The lines of the error, each without the folder."""
    path = tmp_path / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_study_config(path)
    message = str(caught.value)
    assert not PYDANTIC.search(message)
    assert caught.value.exit_code == 2
    return [line.removeprefix(f"{path}:") for line in message.splitlines()]


SECTION_KEYS = "cell, hidden_size, layers, embedding_size, readout, nonlinearity"
SINGLE = {
    "misspelt top-level key": (BASE + "smapler: {}", "4: smapler: unknown key 'smapler'; did you mean 'sampler'?"),
    "missing name": (BASE.replace("name: q", ""), "1: the key 'name' is missing"),
    "misspelt section key": (
        BASE + "model: {hiden_size: 3}",
        "4: model.hiden_size: unknown key 'hiden_size'; did you mean 'hidden_size'?",
    ),
    "case of a key": (
        BASE + "model: {Hidden_Size: 3}",
        "4: model.Hidden_Size: unknown key 'Hidden_Size'; did you mean 'hidden_size'?",
    ),
    "key like no other": (BASE + "model: {q: 3}", f"4: model.q: unknown key 'q'; expected one of: {SECTION_KEYS}"),
    "misspelt key in a dimension": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 2, stp: 1}",
        "5: search.model.layers.stp: unknown key 'stp'; did you mean 'step'?",
    ),
    "unknown type of dimension": (
        SEARCH + "  model.layers: {type: integer, low: 1, high: 2}",
        "5: search.model.layers.type: found 'integer', expected 'int', 'float' or 'categorical'; did you mean 'int'?",
    ),
    "dimension without type": (
        SEARCH + "  model.layers: {low: 1, high: 2}",
        "5: search.model.layers: the key 'type' is missing: expected int, float or categorical",
    ),
    "dimension that is no mapping": (
        SEARCH + "  model.layers: 3",
        "5: search.model.layers: found 3, expected a mapping of keys to values",
    ),
    "search that is no mapping": (
        BASE + "search: [model.layers]",
        '4: search: found ["model.layers"], expected a mapping of keys to values',
    ),
    "tasks missing": (BASE.replace("tasks", "# tasks"), "1: the key 'tasks' is missing"),
    "tasks that are no mapping": (
        "name: q\ntasks: 3\nlearner: {kind: maml}",
        "2: tasks: found 3, expected a mapping of keys to values",
    ),
    "section that is no mapping": (BASE + "model: 3", "4: model: found 3, expected a mapping of keys to values"),
    "search path to no field": (
        SEARCH + "  model.hiden_size: {type: int, low: 1, high: 2}",
        "5: search.model.hiden_size: no field 'model.hiden_size' to search; did you mean 'model.hidden_size'?",
    ),
    "search path in another section": (
        SEARCH + "  learner.outer_lr: {type: float, low: 1, high: 2}",
        "5: search.learner.outer_lr: no field 'learner.outer_lr' to search; did you mean 'training.outer_lr'?",
    ),
    "search path without a section": (
        SEARCH + "  outer_lr: {type: float, low: 1, high: 2}",
        "5: search.outer_lr: no field 'outer_lr' to search; did you mean 'training.outer_lr'?",
    ),
    "search path in no section": (
        SEARCH + "  tarining.outerlr: {type: float, low: 1, high: 2}",
        "5: search.tarining.outerlr: no field 'tarining.outerlr' to search; did you mean 'training.outer_lr'?",
    ),
    "search path like no other": (
        SEARCH + "  model.x: {type: int, low: 1, high: 2}",
        "5: search.model.x: no field 'model.x' to search; expected one of: "
        + ", ".join(f"model.{key}" for key in SECTION_KEYS.split(", ")),
    ),
    "low above high": (
        SEARCH + "  model.layers: {type: int, low: 3, high: 2}",
        "5: search.model.layers: low (3) is above high (2): expected low <= high",
    ),
    "log from 0": (
        SEARCH + "  learner.inner_lr: {type: float, low: 0, high: 2, log: true}",
        "5: search.learner.inner_lr: log: true needs low above 0, found low: 0.0",
    ),
    "step with log": (
        SEARCH + "  learner.inner_lr: {type: float, low: 1, high: 2, log: true, step: 0.5}",
        "5: search.learner.inner_lr: log: true and step exclude each other: remove one of them",
    ),
    "step with log of an int": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 3, log: true, step: 2}",
        "5: search.model.layers: log: true and step exclude each other: remove one of them",
    ),
    "step too small": (
        SEARCH + "  learner.inner_lr: {type: float, low: 1, high: 2, step: 1e-9}",
        "5: search.learner.inner_lr: step gives more than 10000 values: leave it out to search all of them",
    ),
    "range too wide for floats": (
        SEARCH + "  training.clip_norm: {type: float, low: -1e308, high: 1e308}",
        "5: search.training.clip_norm: high - low is too large: 1e+308 - -1e+308",
    ),
    "unknown kind of tasks": (
        BASE.replace("language_id", "langage_id"),
        "2: tasks.kind: unknown kind 'langage_id'; did you mean 'language_id'? "
        "(or a class of your own as module:Class)",
    ),
    "unknown kind of learner": (
        BASE.replace("maml", "mamal"),
        "3: learner.kind: unknown kind 'mamal'; did you mean 'maml'?",
    ),
    "kind that is a list": (
        BASE.replace("maml", "[maml]"),
        "3: learner.kind: unknown kind ['maml']; did you mean 'maml'?",
    ),
    "kind missing": (
        BASE.replace("kind: language_id, ", ""),
        "2: tasks: the key 'kind' is missing; expected one of: language_id, sinusoid, omniglot, text, series",
    ),
    "unknown kind among the choices": (
        SEARCH + "  tasks.kind: {type: categorical, choices: [language_id, sinus]}",
        "5: search.tasks.kind.choices.1: unknown kind 'sinus'; did you mean 'sinusoid'? "
        "(or a class of your own as module:Class)",
    ),
    "text for a number": (BASE + 'model: {layers: "3"}', "4: model.layers: found '3', expected an integer"),
    "true for a number": (BASE + "model: {layers: true}", "4: model.layers: found true, expected an integer"),
    "fraction for an integer": (BASE + "model: {layers: 1.5}", "4: model.layers: found 1.5, expected an integer"),
    "true for a float": (BASE + "execution: {lease_s: true}", "4: execution.lease_s: found true, expected a number"),
    "number for text": (BASE.replace("name: q", "name: 12"), "1: name: found 12, expected text: put it in quotes"),
    "null for a number": (BASE + "stop: {trials: null}", "4: stop.trials: found null, expected an integer"),
    "below a bound": (BASE + "model: {layers: 0}", "4: model.layers: found 0, expected at least 1"),
    "above a bound": (BASE + "model: {layers: 17}", "4: model.layers: found 17, expected at most 16"),
    "on an open bound": (
        BASE + "training: {outer_lr: 0}",
        "4: training.outer_lr: found 0, expected a number above 0.0",
    ),
    "not a choice": (
        BASE + "model: {cell: lsmt}",
        "4: model.cell: found 'lsmt', expected 'rnn', 'gru' or 'lstm'; did you mean 'lstm'?",
    ),
    "NaN": (BASE + "training: {outer_lr: .nan}", "4: training.outer_lr: found NaN, expected a finite number"),
    "infinity": (
        BASE + "training: {outer_lr: -.inf}",
        "4: training.outer_lr: found -Infinity, expected a finite number",
    ),
    "dimension below the field": (
        SEARCH + "  model.layers: {type: int, low: 0, high: 2}",
        "5: search.model.layers.low: found 0, expected at least 1",
    ),
    "dimension above the field": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 17}",
        "5: search.model.layers.high: found 17, expected at most 16",
    ),
    "choice that the field does not have": (
        SEARCH + "  model.cell: {type: categorical, choices: [lstm, foo]}",
        "5: search.model.cell.choices.1: found 'foo', expected 'rnn', 'gru' or 'lstm'",
    ),
    "float dimension for an integer": (
        SEARCH + "  model.layers: {type: float, low: 1, high: 2}",
        "5: search.model.layers.type: found 'float', expected 'int': model.layers is an integer",
    ),
    "float dimension for an optional integer": (
        SEARCH + "  training.eval_steps: {type: float, low: 5, high: 6}",
        "5: search.training.eval_steps.type: found 'float', expected 'int': training.eval_steps is an integer",
    ),
    "no choices": (
        SEARCH + "  model.cell: {type: categorical, choices: []}",
        "5: search.model.cell.choices: found [], expected a list of at least 1",
    ),
    "choice twice": (
        SEARCH + "  model.cell: {type: categorical, choices: [gru, gru]}",
        "5: search.model.cell: choices holds a value twice: ['gru', 'gru']",
    ),
    "choice that is no single value": (
        SEARCH + "  model.cell: {type: categorical, choices: [gru, null]}",
        "5: search.model.cell.choices.1: found null, expected a finite number, text, true or false",
    ),
    "integer beyond what floats hold": (
        SEARCH + "  training.meta_iterations: {type: int, low: 1, high: 9000000000000}",
        "5: search.training.meta_iterations.high: found 9000000000000, expected at most 1000000000000",
    ),
    "condition on no field": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 2, when: {model.cel: [gru]}}",
        "5: search.model.layers.when.model.cel: no field 'model.cel' to depend on; did you mean 'model.cell'?",
    ),
    "condition on a value that is never fixed": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 2, when: {model.cell: [foo]}}",
        "5: search.model.layers.when.model.cell.0: found 'foo', expected 'rnn', 'gru' or 'lstm'",
    ),
    "condition on a choice that never occurs": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 2, when: {model.cell: [rnn, lstm]}}\n"
        "  model.cell: {type: categorical, choices: [rnn, gru]}",
        "5: search.model.layers.when.model.cell.1: model.cell is never 'lstm'; expected one of: rnn, gru",
    ),
    "condition on an integer that never occurs": (
        SEARCH + "  model.cell: {type: categorical, choices: [rnn], when: {model.layers: [2]}}\n"
        "  model.layers: {type: int, low: 1, high: 5, step: 2}",
        "5: search.model.cell.when.model.layers.0: model.layers is never 2: it goes from 1 to 5 in steps of 2",
    ),
    "condition on a continuum": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 2, when: {learner.inner_lr: [0.2]}}\n"
        "  learner.inner_lr: {type: float, low: 0.1, high: 1}",
        "5: search.model.layers.when.learner.inner_lr.0: learner.inner_lr varies continuously: "
        "a condition needs a field with separate values",
    ),
    "condition that is no list": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 2, when: {model.cell: gru}}",
        "5: search.model.layers.when.model.cell: found 'gru', expected a list",
    ),
    "condition without values": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 2, when: {model.cell: []}}",
        "5: search.model.layers.when.model.cell: found [], expected a list of at least 1",
    ),
    "circle of conditions": (
        SEARCH + "  model.cell: {type: categorical, choices: [gru, rnn], when: {model.layers: [1]}}\n"
        "  model.layers: {type: int, low: 1, high: 3, when: {model.cell: [gru]}}",
        "5: search.model.cell.when: conditions form a circle: model.cell needs model.layers needs model.cell",
    ),
    "condition on itself": (
        SEARCH + "  model.layers: {type: int, low: 1, high: 3, when: {model.layers: [1]}}",
        "5: search.model.layers.when: conditions form a circle: model.layers needs model.layers",
    ),
    "field of one kind searched under all": (
        SEARCH + "  tasks.kind: {type: categorical, choices: [language_id, sinusoid]}\n"
        "  tasks.ways: {type: int, low: 2, high: 5}",
        "6: search.tasks.ways: only tasks.kind language_id has this field: add  when: {tasks.kind: [language_id]}",
    ),
    "empty name": (
        BASE.replace("name: q", "name: ''"),
        "1: name: found '', expected one line of text that neither starts with '-' nor has spaces around it",
    ),
    "name with a line break": (
        BASE.replace("name: q", r'name: "a\nb"'),
        r"1: name: found 'a\nb', expected one line of text that neither starts with '-' nor has spaces around it",
    ),
    "name like an option": (
        BASE.replace("name: q", "name: --storage"),
        "1: name: found '--storage', expected one line of text that neither starts with '-' nor has spaces around it",
    ),
    "name too long": (
        BASE.replace("name: q", f"name: {'q' * 201}"),
        f"1: name: found '{'q' * 56}..., expected text of at most 200 characters",
    ),
    "device that is no list": (
        BASE + "execution: {devices: cuda:1}",
        "4: execution.devices: found 'cuda:1', expected auto, cpu, cuda or a list such as [cuda:0, cuda:1]",
    ),
    "unknown device": (
        BASE + "execution: {devices: [cuda:0, gpu1]}",
        "4: execution.devices: found 'gpu1' in the list, expected cpu or cuda:N with N from 0",
    ),
    "device twice": (
        BASE + "execution: {devices: [cpu, cpu]}",
        "4: execution.devices: ['cpu', 'cpu'] holds a device twice; slots_per_device puts several trials on one",
    ),
    "fused with nobody": (
        BASE + "execution: {fuse: 0}",
        "4: execution.fuse: found 0, expected auto or how many trials, from 1 to 32",
    ),
    "fused by a truth value": (
        BASE + "execution: {fuse: true}",
        "4: execution.fuse: found True, expected auto or how many trials, from 1 to 32",
    ),
    "workers on this machine": (
        BASE + "execution: {workers: 8}",
        "4: execution.workers: found 8, expected no such key with executor local: "
        "devices and slots_per_device say how many workers this machine runs",
    ),
    "key of another executor": (
        BASE + "execution: {executor: ray, partition: gpu}",
        "4: execution.partition: found 'gpu', expected no such key with executor ray: only Slurm has partitions",
    ),
    "GPUs by name in a cluster": (
        BASE + "execution: {executor: ray, devices: [cuda:0]}",
        "4: execution.devices: found ['cuda:0'], expected auto, cpu or cuda with executor ray, which chooses GPUs",
    ),
    "GPUs that no worker is given": (
        BASE + "execution: {executor: ray, devices: cuda}",
        "4: execution.devices: found 'cuda', expected gpus_per_worker above 0 with it: workers are shown no GPU else",
    ),
    "several GPUs a worker": (
        BASE + "execution: {executor: ray, gpus_per_worker: 2}",
        "4: execution.gpus_per_worker: found 2, expected at most 1.0",
    ),
    "part of a GPU from Slurm": (
        BASE + "execution: {executor: slurm, time_limit: 60, gpus_per_worker: 0.5}",
        "4: execution.gpus_per_worker: found 0.5, expected 0 or 1 with executor slurm, which gives out whole GPUs",
    ),
    "no time limit": (
        BASE + "execution: {executor: slurm}",
        "4: execution.time_limit: the key 'time_limit' is missing: a worker checkpoints before it and is queued again",
    ),
    "time limit in words": (
        BASE + "execution: {executor: slurm, time_limit: 3 hours}",
        "4: execution.time_limit: found '3 hours', expected minutes, such as 240, or text such as 4:00:00 or "
        "1-12:00:00",
    ),
    "time limit that leaves no time": (
        BASE + "execution: {executor: slurm, time_limit: 0:04:00}",
        "4: execution.time_limit: found '0:04:00', expected at least 5 minutes: a checkpoint is made before",
    ),
    "line of a script that is two": (
        BASE + r'execution: {executor: slurm, time_limit: 60, setup: ["a\nb"]}',
        r"4: execution.setup.0: found 'a\nb', expected one line of text",
    ),
    "option of sbatch with a key of its own": (
        BASE + "execution: {executor: slurm, time_limit: 60, extra: {gres: gpu:1}}",
        "4: execution.extra: found the option 'gres', which is set by execution.gpus_per_worker",
    ),
    "option of sbatch with its dashes": (
        BASE + "execution: {executor: slurm, time_limit: 60, extra: {--account: lab}}",
        "4: execution.extra: found the option '--account', expected a name such as account, without dashes before it",
    ),
    "option of sbatch with two lines": (
        BASE + r'execution: {executor: slurm, time_limit: 60, extra: {comment: "a\nb"}}',
        r"4: execution.extra: found 'a\nb' for 'comment', expected one line of text, a number, or true",
    ),
    "curve shorter than the inner loop": (
        BASE + "training: {eval_steps: 2}",
        "4: training.eval_steps: found 2, expected at least learner.inner_steps, which is up to 3",
    ),
    "curve shorter than the longest inner loop": (
        BASE + "training: {eval_steps: 4}\nsearch: {learner.inner_steps: {type: int, low: 1, high: 5}}",
        "4: training.eval_steps: found 4, expected at least learner.inner_steps, which is up to 5",
    ),
    "curve shorter than the test-time steps": (
        BASE + "training: {eval_steps: 4}\nobjective: {inner_steps: 5}",
        "4: training.eval_steps: found 4, expected at least objective.inner_steps, which is 5",
    ),
    "test-time steps that are no number": (
        BASE + "objective: {inner_steps: most}",
        "4: objective.inner_steps: found 'most', expected trained, best or a number of inner steps from 1 to 1000",
    ),
    "no test-time steps": (
        BASE + "objective: {inner_steps: 0}",
        "4: objective.inner_steps: found 0, expected trained, best or a number of inner steps from 1 to 1000",
    ),
    "shortest curve shorter than the inner loop": (
        BASE + "search: {training.eval_steps: {type: categorical, choices: [9, 2, 4]}}",
        "4: search.training.eval_steps: found 2, expected at least learner.inner_steps, which is up to 3",
    ),
    "rung after the end": (
        BASE + "pruner: {min_iterations: 301}",
        "4: pruner.min_iterations: found 301, expected at most training.meta_iterations (300): "
        "no trial would be pruned",
    ),
    "a seed that is searched and confirmed": (
        BASE + "stop: {confirm: 2}\nsearch: {training.seed: {type: int, low: 0, high: 9}}",
        "4: stop.confirm: found 2, expected 0 where training.seed is searched: a seed is the config then",
    ),
    "a stop rule that the sampler knows nothing for": (
        BASE + "stop: {when_settled: true}\nsampler: {kind: tpe}",
        "4: stop.when_settled: found true, expected false with sampler.kind tpe: only gp_ei says what it expects",
    ),
    "metric that the tasks do not have": (
        BASE.replace("language_id, ways: 5", "sinusoid") + "objective: {metric: query_accuracy}",
        "4: objective.metric: found 'query_accuracy', which sinusoid tasks do not have, expected query_loss",
    ),
    "metric that one of the searched kinds does not have": (
        SEARCH
        + "  tasks.kind: {type: categorical, choices: [language_id, sinusoid]}\nobjective: {metric: query_accuracy}",
        "6: objective.metric: found 'query_accuracy', which sinusoid tasks do not have, expected query_loss",
    ),
    "constraint on the objective": (
        BASE + "constraints: {query_loss: 1.2}",
        "4: constraints.query_loss: found a bound, expected none: query_loss is the objective itself",
    ),
    "constraint on what the tasks do not have": (
        BASE.replace("language_id, ways: 5", "sinusoid") + "constraints: {query_accuracy: 0.5}",
        "4: constraints.query_accuracy: found a bound, expected none: sinusoid tasks have no query_accuracy",
    ),
    "constraint on an unknown metric": (
        BASE + "constraints: {second: 60}",
        "4: constraints.second: unknown key 'second'; did you mean 'seconds'?",
    ),
    "constraint that is none": (
        BASE + "constraints: {peak_memory_bytes: 2 GB}",
        "4: constraints.peak_memory_bytes: found '2 GB', expected a number",
    ),
    "objective against itself": (
        BASE + "objective: {against: [seconds, query_loss]}",
        "4: objective.against.1: found 'query_loss', expected 'seconds', 'peak_memory_bytes' or 'meta_parameters'",
    ),
    "objective twice against the same": (
        BASE + "objective: {against: [seconds, seconds]}",
        "4: objective.against: found [seconds, seconds], expected each at most once",
    ),
    "objective against what is no list": (
        BASE + "objective: {against: seconds}",
        "4: objective.against: found 'seconds', expected a list",
    ),
    "pruned front": (
        BASE + "objective: {against: [seconds]}\npruner: {kind: asha}",
        "5: pruner.kind: found asha, expected none with objective.against: it compares the objective alone, and would"
        " end what is worse but cheap",
    ),
    "settled front": (
        BASE + "objective: {against: [seconds]}\npruner: {kind: none}\nstop: {when_settled: true}",
        "6: stop.when_settled: found true, expected false with objective.against: what is left to gain is not said of"
        " fronts",
    ),
    "direction against the metric": (
        BASE + "objective: {metric: query_accuracy, direction: minimize}",
        "4: objective: query_accuracy is to be maximized, but direction is 'minimize'",
    ),
    "empty file": ("", "1: found an empty file, expected a mapping with keys such as name, tasks and learner"),
    "list": ("- a\n- b", "1: found a list, expected a mapping with keys such as name, tasks and learner"),
    "scalar": ("hello", "1: found 'hello', expected a mapping with keys such as name, tasks and learner"),
    "tab": ("name: q\ntasks:\n\tkind: x", "3: this is no valid YAML: found a tab, expected spaces"),
    "bracket left open": (
        "name: q\ntasks: {kind: x\nlearner: 3",
        "3: this is no valid YAML: while parsing a flow mapping (line 2): expected ',' or '}', but got ':'",
    ),
    "wrong indentation": (
        "name: q\n  tasks: 3",
        "2: this is no valid YAML: found ':' where no key can be: check the indentation, or put the text in quotes",
    ),
    "two documents": (
        BASE + "---\nname: r",
        "4: this is no valid YAML: expected a single document in the stream (line 1): but found another document",
    ),
    "unknown anchor": (BASE + "model: *x", "4: this is no valid YAML: found undefined alias 'x'"),
    "duplicate key": (BASE + "name: r", "4: name: the key 'name' is there twice, first in line 1: remove one"),
    "duplicate key in a section": (
        BASE + "model:\n  layers: 1\n  layers: 2",
        "6: model.layers: the key 'layers' is there twice, first in line 5: remove one",
    ),
    "Latin-1": (BASE.encode() + b"# caf\xe9", "4: found the byte 0xe9, expected a text file in UTF-8"),
    "UTF-16": (BASE.encode("utf-16-le"), "1: found the character U+0000, expected text"),
    "half of a surrogate pair": (
        BASE.replace("name: q", r'name: "\ud800"'),
        "1: name: half of a surrogate pair: this is no text",
    ),
    "key that is a number": (BASE + "model: {2: 3}", "4: model: found the key 2, expected text: put it in quotes"),
    "key that is null": (BASE + "~: 3", "4: found the key ~, expected text: put it in quotes"),
    "key that is a list": (
        BASE + "? [a]\n: 3",
        "4: found the key that is no plain text, expected text: put it in quotes",
    ),
    "unknown tag": (
        BASE + "model: !!python/name:os.system x",
        "4: model: unknown tag !!python/name:os.system: remove it",
    ),
    "unknown tag of a mapping": (BASE + "model: !model {layers: 1}", "4: model: unknown tag !model: remove it"),
    "tag that does not fit": (BASE + "stop: {trials: !!int x}", "4: stop.trials: found 'x', which is no int"),
    "merge of no mapping": (BASE + "model: {<<: 3}", "4: model: '<<' takes a mapping, or a list of mappings"),
    "thousands of digits": (
        BASE + f"stop: {{trials: {'9' * 5000}}}",
        "4: stop.trials: found Infinity, expected an integer",
    ),
    "values that hold themselves": (BASE + "a: &a [*a]", "1: values are nested too deeply"),
    "deep nesting": (BASE + "a: " + "[" * 2000, "1: values are nested too deeply"),
}


@pytest.mark.parametrize(("text", "expected"), SINGLE.values(), ids=SINGLE.keys())
def test_one_mistake_gives_one_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert refused(tmp_path, text) == [expected]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
name: q
name: r
tasks: {kind: langage_id, ways: 99}
learner: {kind: maml, inner_lr: -1, order: third}
smapler: {kind: gp_ei}
search:
  tasks.ways: {type: int, low: 1, high: 2}
  model.layers: {type: int, low: 3, high: 2}
  model.hiden_size: {type: int, low: 3, high: 4}
  learner.inner_steps: {type: int, low: 0, high: 400, when: {model.cel: [gru]}}
stop: {trials: none}
"""
    found = [line.partition(": ")[0] + ":" + line.split(": ")[1] for line in refused(tmp_path, text)]
    assert found == [
        "2:name",
        "3:tasks.kind",
        "4:learner.inner_lr",
        "4:learner.order",
        "5:smapler",
        "8:search.model.layers",
        "9:search.model.hiden_size",
        "10:search.learner.inner_steps.low",
        "10:search.learner.inner_steps.high",
        "10:search.learner.inner_steps.when.model.cel",
        "11:stop.trials",
    ]


ALIASES = "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)
MERGES = "".join(
    f"{new}: &{new} {{<<: [{', '.join(['*' + old] * 9)}]}}\n"
    for old, new in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)


@pytest.mark.parametrize("bomb", ["a: &a [x]\n" + ALIASES, "a: &a {x: 1}\n" + MERGES], ids=["aliases", "merge keys"])
def test_aliases_that_stand_for_billions_of_values_are_refused(tmp_path: Path, bomb: str) -> None:
    (line,) = refused(tmp_path, BASE + bomb)
    assert re.fullmatch(r"[0-9]+: found more than 20000 values, expected a config", line)


def test_a_file_too_long_is_not_parsed(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, BASE + "#" * 300_000)
    assert line == " longer than 256 KiB: this is no study config"
