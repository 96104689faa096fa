"""A class's name says which class is meant, whichever module it is read in."""

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "watchroom"
MONITOR = "monitor/"


def public_classes() -> dict[str, list[str]]:
    """The modules that define each public class, by the class's name."""
    modules = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        module = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(module)
    return modules


def test_a_class_name_exists_once_within_the_monitor() -> None:
    within = {
        name: [module for module in modules if module.startswith(MONITOR)]
        for name, modules in public_classes().items()
    }
    assert len(within) > 400
    assert {name: paths for name, paths in within.items() if len(paths) > 1} == {}


def test_a_class_name_never_exists_three_times() -> None:
    classes = public_classes()
    assert {name: paths for name, paths in classes.items() if len(paths) > 2} == {}
