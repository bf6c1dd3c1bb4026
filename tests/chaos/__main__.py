"""The long form of the chaos test: ``python -m tests.chaos`` (a quarter of an hour), on PostgreSQL and on SQLite."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.chaos import Chaos, Findings, Plan
from tests.end_to_end.support import Hpo
from tests.postgres import running_server

PLANS = {
    "postgresql": Plan(workers=8, trials=60, kills=100, naps=5, outages=2, sampler="gp_ei"),
    "sqlite": Plan(workers=4, trials=50, kills=100, sampler="gp_ei"),
}


def run(name: str, plan: Plan, folder: Path, timeout_s: float) -> Findings:
    """One of PLANS, in a folder and a database of its own."""
    if name == "sqlite":
        return Chaos(plan, Hpo(folder, f"sqlite:///{folder / 'hpo.db'}")).run(timeout_s)
    with running_server(durable=True) as server:
        server.execute("CREATE DATABASE chaos")
        return Chaos(plan, Hpo(folder, server.url("chaos")), server).run(timeout_s)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints JSON; exit code 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--on", nargs="+", choices=PLANS, default=list(PLANS))
    parser.add_argument("--kills", type=int)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--timeout-s", type=float, default=1800.0)
    options = parser.parse_args(arguments)
    wrong = False
    for name in options.on:
        asked = {key: value for key in ("kills", "trials") if (value := getattr(options, key)) is not None}
        plan = dataclasses.replace(PLANS[name], **asked)
        with tempfile.TemporaryDirectory(prefix="hpo-chaos-") as folder:
            findings = run(name, plan, Path(folder), options.timeout_s)
        found = dict(vars(findings))
        found |= {"written": max(findings.written.values()), "numbers": len(findings.numbers)}
        print(json.dumps({name: found, "problems": findings.problems(plan)}, indent=1), flush=True)
        wrong = wrong or bool(findings.problems(plan))
    sys.exit(wrong)


if __name__ == "__main__":
    main()
