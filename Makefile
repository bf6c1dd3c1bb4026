# Every recipe is the plain commands that the README also shows.
.PHONY: quickstart test

quickstart:
	python3 -m venv .venv
	.venv/bin/pip install -c constraints.txt -e '.[text]'
	.venv/bin/hpo launch study_configs/quickstart.yaml
	.venv/bin/hpo best quickstart

test:
	python3 -m venv .venv
	.venv/bin/pip install -q -c constraints.txt -e '.[test]'
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n logical --maxprocesses 4 --dist worksteal
