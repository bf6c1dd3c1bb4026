"""``kind: my_module:MyTasks`` names a class of the user's own."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType

from hpo.config.problems import hint
from hpo.errors import InputError

_NAME = r"[^\W\d]\w*"
_PLUGIN = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}")


def is_plugin(kind: str) -> bool:
    """Whether ``kind`` names a class by module instead of one that comes with hpo."""
    return ":" in kind


def load_class(kind: str) -> type:
    """The class that ``module:Class`` names, the working directory searched like ``python -m`` does.

    Raises InputError where the module cannot be imported or has no such class.
    """
    if not _PLUGIN.fullmatch(kind):
        raise InputError(f"found {kind!r}, expected module:Class, such as my_tasks:MyTasks")
    module_name, _, class_name = kind.partition(":")
    module = _module(module_name)
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise InputError(f"{module.__file__} has no class {class_name!r}{hint(class_name, classes)}")
    return found


def _module(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, error) from error  # the module is there, what it imports is not
        files = sorted(path.stem for path in Path(here).glob("*.py"))
        raise InputError(f"there is no module {error.name!r} in {here} or on PYTHONPATH{hint(name, files)}") from error
    except (Exception, SystemExit) as error:  # whatever a module of the user's does when it is imported
        raise _failed(name, error) from error


def _failed(name: str, error: BaseException) -> InputError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = "" if isinstance(error, SyntaxError) else f" ({last.filename}:{last.lineno})"
    return InputError(f"importing the module {name!r} fails: {type(error).__name__}: {error}{where}")
