"""Gradients and Hessian products of whole networks in C++, compiled on the machine that uses them.

Optional: where it cannot be built, or HPO_ACCELERATOR=off, hpo/meta/gradients computes the same in PyTorch.
"""

from __future__ import annotations

import ctypes
import logging
from functools import cache

from hpo.meta.accelerator.build import BuildError, build, built
from hpo.meta.accelerator.library import AcceleratorError, Batch, Library, Shape, take_pass_seconds
from hpo.meta.switches import is_off

__all__ = [
    "AcceleratorError",
    "Batch",
    "BuildError",
    "Library",
    "Shape",
    "build",
    "library",
    "switched_off",
    "take_pass_seconds",
]

_log = logging.getLogger(__name__)


def switched_off() -> bool:
    """Whether HPO_ACCELERATOR says so."""
    return is_off("HPO_ACCELERATOR")


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library, built if this process is the first to want it; None, with a warning, if it cannot be."""
    if switched_off():
        return None
    try:
        if not built():
            _log.warning("building the accelerator, once for this machine (seconds; HPO_ACCELERATOR=off does without)")
        return ctypes.CDLL(str(build()))
    except (BuildError, OSError) as error:
        _log.warning(
            "no accelerator, meta-training goes on without it at about a third of the speed: %s\n"
            "`hpo accelerate` tries again and says more; HPO_ACCELERATOR=off stops asking",
            error,
        )
        return None
