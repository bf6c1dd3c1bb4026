"""YAML file -> StudyConfig, with the file and line of whatever is wrong."""

from __future__ import annotations

import difflib
import glob
from pathlib import Path

import yaml

from hpo.config.problems import InvalidConfig, Problem
from hpo.config.study import StudyConfig
from hpo.config.yaml_reader import Document, read_yaml
from hpo.errors import ConfigError

MAX_BYTES = 256 * 1024


def load_study_config(path: str | Path) -> StudyConfig:
    """The study config in a YAML file; raises ConfigError: ``file:line: what was found, what was expected``."""
    document = _parse(_read(Path(path)), str(path))
    try:
        if not isinstance(document.raw, dict):
            raise InvalidConfig([Problem((), _no_mapping(document.raw), 1)])
        config = StudyConfig.from_dict(document.raw)
    except InvalidConfig as invalid:
        unread = {problem.location for problem in document.problems}
        found = [problem for problem in invalid.problems if problem.location not in unread]
        raise ConfigError(_located([*document.problems, *found], document, str(path))) from None
    if document.problems:
        raise ConfigError(_located(document.problems, document, str(path)))
    return config


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file{_nearest_file(path)}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder, expected a YAML file{_nearest_file(path / '.yaml')}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: longer than {MAX_BYTES // 1024} KiB: this is no study config")
    return _decoded(data, path)


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = f"0x{data[error.start]:02x}"
        raise ConfigError(f"{path}:{line}: found the byte {byte}, expected a text file in UTF-8") from None


def _nearest_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f": the folder {folder} does not exist"
    names = sorted(found.name for suffix in ("*.yaml", "*.yml") for found in folder.glob(suffix))
    near = [folder / name for name in difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)]
    if candidates := [*sorted(folder.glob(f"*/{glob.escape(path.name)}")), *near]:
        return f"; did you mean {candidates[0]}?"
    return f"; {folder} has: {', '.join(names[:10])}" if names else ""


def _parse(text: str, source: str) -> Document:
    try:
        return read_yaml(text)
    except InvalidConfig as error:
        raise ConfigError(_located(error.problems, Document(None, {(): 1}, []), source)) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigError(f"{source}:{line}: found the character U+{error.character:04X}, expected text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise ConfigError(f"{source}:{line}: this is no valid YAML: {_reason(error)}") from None


def _reason(error: yaml.MarkedYAMLError) -> str:
    problem, context, begun = error.problem or "", error.context or "", error.context_mark
    if "'\\t'" in problem:
        return "found a tab, expected spaces"
    if problem == "mapping values are not allowed here":
        return "found ':' where no key can be: check the indentation, or put the text in quotes"
    since = f" (line {begun.line + 1})" if begun is not None else ""
    return f"{context}{since}: {problem}" if context else problem


def _no_mapping(raw: object) -> str:
    found = {list: "a list", type(None): "an empty file"}.get(type(raw), f"{raw!r:.60}")
    return f"found {found}, expected a mapping with keys such as name, tasks and learner"


def _located(problems: list[Problem], document: Document, source: str) -> str:
    lines = {problem: problem.line or document.line(problem.location) for problem in problems}
    return "\n".join(f"{source}:{lines[problem]}: {problem}" for problem in sorted(lines, key=lambda p: lines[p]))
