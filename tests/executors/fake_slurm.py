"""Slurm's commands, as far as submitit and hpo use them: ``python fake_slurm.py NAME ARGUMENTS``, state in FAKE_SLURM.

sbatch runs nothing: it keeps the script and numbers the job; the test says in ``states.json`` what became of each.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

FOLDER = Path(os.environ.get("FAKE_SLURM", "."))
STATES = FOLDER / "states.json"
FIRST = 4101


def states() -> dict[str, str]:
    """Job -> state."""
    found: dict[str, str] = json.loads(STATES.read_text()) if STATES.exists() else {}
    return found


def write(found: dict[str, str]) -> None:
    STATES.write_text(json.dumps(found))


def sbatch(arguments: list[str]) -> None:
    if (FOLDER / "refuse").exists():
        sys.exit("sbatch: error: invalid partition specified: gpu")
    script = Path(arguments[-1]).read_text()
    job = FIRST + len(list(FOLDER.glob("script-*.sh")))
    (FOLDER / f"script-{job}.sh").write_text(script)
    (FOLDER / f"environment-{job}.json").write_text(json.dumps(dict(os.environ)))
    array = re.search(r"--array=0-(\d+)", script)
    names = [f"{job}_{i}" for i in range(int(array[1]) + 1)] if array else [str(job)]
    write({**states(), **dict.fromkeys(names, "PENDING")})
    print(f"Submitted batch job {job}")


def squeue(arguments: list[str]) -> None:
    (name,) = [argument.removeprefix("--name=") for argument in arguments if argument.startswith("--name=")]
    for job, state in states().items():
        script = (FOLDER / f"script-{job.split('_')[0]}.sh").read_text()
        if state in ("PENDING", "RUNNING") and f"#SBATCH --job-name={name}\n" in script:
            print(job)


def sacct(arguments: list[str]) -> None:
    print("JobID|State|NodeList")
    for job, state in states().items():
        print(f"{job}|{state}|node1")


def scancel(arguments: list[str]) -> None:
    write({**states(), arguments[0]: "CANCELLED by 1000"})


COMMANDS = {"sbatch": sbatch, "squeue": squeue, "sacct": sacct, "scancel": scancel, "srun": print}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
