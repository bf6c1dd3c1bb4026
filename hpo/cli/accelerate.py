"""``hpo accelerate``: the accelerator of meta-training, built ahead of time."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import asdict, dataclass

import click

from hpo.cli import text
from hpo.cli.options import examples, json_option
from hpo.cli.output import to_json
from hpo.cli.terminal import say
from hpo.errors import HpoError


class NotAccelerated(HpoError):
    """The accelerator cannot be built or loaded here."""


@dataclass(frozen=True)
class Found:
    """The library and how it came to be; ``seconds`` is None where it had been built before."""

    library: str
    instructions: str
    compiler: str
    seconds: float | None
    switched_off: bool


@click.command(epilog=examples("hpo accelerate", "hpo accelerate --json"))
@json_option
def accelerate(as_json: bool) -> None:
    """Build the accelerator of meta-training on the CPU, a library in C++.

    It is optional, and the first trial that wants it builds it where there is a C++ compiler: here you see how that
    goes. It is kept in HPO_CACHE_DIR, else in ~/.cache/hpo; trials find it there if they have the same HPO_CACHE_DIR
    and the same compiler (CXX).
    """
    found = _build()
    if found.switched_off:
        _say(f"HPO_ACCELERATOR={os.environ['HPO_ACCELERATOR']} switches it off: unset it to use the accelerator")
    say(to_json(asdict(found)) if as_json else f"{found.library}  {found.instructions}")


def _build() -> Found:
    """Says on standard error what it does. Raises NotAccelerated."""
    from hpo.meta import accelerator  # here: torch takes seconds that --help need not wait for
    from hpo.meta.accelerator.build import build, built, compiler, instruction_set

    try:
        instructions, command, there = instruction_set(), compiler(), built()
        _say("already built" if there else f"building the accelerator for {instructions} with {command} ...")
        began = time.perf_counter()
        library = build()
        seconds = None if there else time.perf_counter() - began
        ctypes.CDLL(str(library))  # a cache folder may forbid it
    except (accelerator.BuildError, OSError) as error:
        raise NotAccelerated(f"the accelerator cannot be used, trials do without it: {error}") from error
    if seconds is not None:
        _say(f"built in {text.duration(seconds)}")
    return Found(str(library), instructions, command, seconds, accelerator.switched_off())


def _say(line: str) -> None:
    say(line, err=True)
