"""Runs the demo from any directory: `.venv/bin/python examples/demo`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts this directory there; the modules are of the package examples.demo.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from examples.demo.command import main

    main()
