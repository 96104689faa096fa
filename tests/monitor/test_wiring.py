"""How the monitor is put together: each part from those that exist already."""

from __future__ import annotations

import ast
import inspect

import pytest

from watchroom.monitor import app, main

STATE = {"services.ready"}
"""What changes while the monitor runs; everything else would be wiring."""


@pytest.mark.parametrize("module", [main, app])
def test_no_part_is_changed_after_it_was_built(module):
    tree = ast.parse(inspect.getsource(module))
    built = {
        f"{ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) not in {"self", "record", "web_response"}
    }
    assert built - STATE == set()


def test_no_part_is_asked_for_before_it_exists():
    """A closure over a part that is made later is a cycle that hides."""
    tree = ast.parse(inspect.getsource(main))
    late = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        made = {
            node.id: node.lineno
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        late += [
            name.id
            for closure in ast.walk(function)
            if isinstance(closure, ast.Lambda)
            for name in ast.walk(closure)
            if isinstance(name, ast.Name) and made.get(name.id, 0) > closure.lineno
        ]
    assert late == []
