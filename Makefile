# Each target does all its own set-up and may be run again.
# Without make, run the two lines of a target yourself.
.PHONY: demo test fast lint fix seconds matrix dist bench judges kill screenshots

demo:
	python3 tools/setup.py demo
	.venv/bin/python examples/demo $(ARGS)

test:
	python3 tools/setup.py test
	.venv/bin/python tools/test.py $(ARGS)

# The static checks and the quick tests, in under a minute.
fast:
	python3 tools/setup.py test
	.venv/bin/python tools/test.py --fast $(ARGS)

lint:
	python3 tools/setup.py test
	.venv/bin/python tools/test.py --lint

fix:
	python3 tools/setup.py test
	.venv/bin/python tools/test.py --fix

# Runs the tests and writes how long each module takes into tests/seconds.json.
seconds:
	python3 tools/setup.py test
	.venv/bin/python tools/test.py --seconds

matrix:
	python3 tools/matrix.py $(ARGS)

dist:
	python3 tools/setup.py test
	.venv/bin/python -m hatchling build -d dist -t sdist -t wheel

bench:
	python3 tools/setup.py bench
	.venv/bin/python benchmarks/run.py $(ARGS)

judges:
	python3 tools/setup.py test
	.venv/bin/python tools/judges.py $(ARGS)

kill:
	python3 tools/setup.py test
	.venv/bin/python -m tests.kill $(ARGS)

screenshots:
	python3 tools/setup.py test
	.venv/bin/python tools/screenshots.py $(ARGS)
