"""The layout: who may import whom. Read off the source of every module, late imports included."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("schemas", "workers", "dashboards")

# What anybody in workers may use: errors, settings and what is said about the work. They know no floor.
SHARED = {
    "workers.errors",
    "workers.settings",
    "workers.logs",
    "workers.failpoints",
    "workers.metrics",
    "workers.salt",
    "workers.health",
}
# Floor -> what it may import besides itself. A module of workers that is not named here is shared: it may use no floor.
MAY_USE = {
    "schemas": set[str](),
    "workers.slm": {"schemas", *SHARED},
    "workers.analyze": {"schemas", "workers.slm", "workers.errors"},  # pure given a model: no settings, no metrics
    "workers.stream": {"schemas", *SHARED},
    "workers.store": {"schemas", *SHARED},
    "workers.embedded": {"workers.errors"},  # a broker and an engine, which know nothing of what runs through them
    "workers.plan": {"workers.settings", "workers.errors"},  # arithmetic on what was measured
    "workers.drift": set[str](),  # arithmetic on counts, for the dashboard and for the command
    "dashboards": {"schemas", "workers.store", "workers.drift", "workers.settings", "workers.errors"},
}
# What only an extra's packages let run: training, and what the benchmark and the evaluation set beside ours.
WITH_EXTRAS = (
    "workers.slm.train",
    "workers.bench.onnx_engine",
    "workers.bench.paint",
    "workers.bench.generator",
    "workers.bench.torch_engine",
    "workers.evaluate.first_tier",
    "workers.evaluate.headlines",
    "workers.evaluate.rivals",
    "workers.evaluate.summaries",
)
FLOORS = {
    "workers.slm",
    "workers.analyze",
    "workers.stream",
    "workers.store",
    "workers.embedded",
    "workers.plan",
    "workers.drift",
    "dashboards",
}
# Where floors meet. `stack` is the laptop's own pipeline; `commands` is what workers.cli calls, so that it holds no logic.
JOINING = {
    "workers.pipeline",
    "workers.block_result",
    "workers.worker",
    "workers.live_pack",
    "workers.reprocess",
    "workers.erase",
    "workers.retention",
    "workers.turned_away",
    "workers.alerts",
    "workers.publish_alerts",
    "workers.digests",
    "workers.headlines",
    "workers.ask",
    "workers.summary_author",
    "workers.cli",
    "workers.stack",
    "workers.stack_dashboard",
    "workers.stack_alerts",
    "workers.faust_app",
    "workers.stack_digests",
    "workers.escalation",
    "workers.serve",  # a model behind the dashboard's way of listening
    "workers.chaos",
    "workers.bench",
    "workers.evaluate",
    "workers.commands",
}
# Module -> the foreign floor it uses all the same, and why.
EXCEPTIONS = {
    (f"workers.slm.train.{program}", "workers.analyze"): (
        "training is made of programs that nothing else imports: they must redact texts and cut them as the worker does"
    )
    for program in ("__main__", "aspect_dev", "corpora", "finetune.teacher", "generator.__main__", "generator.samples")
}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_module(path): path for top in OURS for path in sorted((ROOT / top).rglob("*.py"))}


def _imported(tree: ast.Module) -> set[str]:
    """Every module that this one imports, by full name; `from a import b` is a.b where that is a module of ours."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {part for part in parts if part in FILES}
            names.update(modules)
            if modules != parts:
                names.add(str(node.module))
    return names


IMPORTS = {module: _imported(ast.parse(path.read_text(encoding="utf-8"))) for module, path in FILES.items()}


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in (*OURS, "tests")


def _floor(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "workers" else parts[0]


def _between_floors() -> set[tuple[str, str]]:
    """(module, floor of what it imports), where that is not its own."""
    return {
        (module, _floor(name))
        for module, names in IMPORTS.items()
        for name in names
        if _is_ours(name) and _floor(name) != _floor(module)
    }


def test_every_module_imports_only_what_its_floor_may_know() -> None:
    broken = []
    for module, used in sorted(_between_floors() - set(EXCEPTIONS)):
        floor = _floor(module)
        allowed = MAY_USE.get(floor, SHARED | {"schemas"})
        if floor not in JOINING and used not in allowed:
            broken.append(f"{module} imports {used}; {floor} may know {sorted(allowed)}")
    assert broken == []


def test_only_the_joining_modules_meet_two_floors_that_do_not_know_each_other() -> None:
    apart = {"workers.slm", "workers.stream", "workers.store"}
    met: dict[str, set[str]] = {}
    for module, used in _between_floors():
        if _floor(module) not in JOINING:
            met.setdefault(_floor(module), {_floor(module)} & apart).update({used} & apart)
    assert {floor: sorted(floors) for floor, floors in met.items() if len(floors) > 1} == {}


def test_nothing_stands_on_the_joining_modules_but_each_other() -> None:
    assert sorted((m, used) for m, used in _between_floors() if used in JOINING and _floor(m) not in JOINING) == []
    assert sorted(m for m, used in _between_floors() if used == "workers.cli") == []


def test_every_exception_is_still_needed() -> None:
    assert set(EXCEPTIONS) <= _between_floors()


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: {name for name in names if name in FILES} for module, names in IMPORTS.items()}
    while leaves := {module for module, names in graph.items() if not names & set(graph)}:
        graph = {module: names for module, names in graph.items() if module not in leaves}
    assert graph == {}, f"these import each other in a circle: {sorted(graph)}"


def test_no_module_of_ours_imports_the_tests() -> None:
    assert sorted(m for m, names in IMPORTS.items() if any(name.split(".")[0] == "tests" for name in names)) == []


def test_files_are_named_after_the_thing_in_them() -> None:
    nameless = re.compile(r"(^|_)(utils?|helpers?|base|common|misc|manager|process_data)($|_)")
    assert [module for module in FILES if nameless.search(module.rsplit(".", 1)[-1])] == []


@pytest.mark.parametrize("training", [False, True])
def test_every_package_that_the_code_imports_is_named_in_pyproject(training: bool) -> None:
    """What comes only along with another package goes when that one no longer needs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["embedded"], *extras["dashboard"]]
    declared += [requirement for extra in extras.values() for requirement in extra if training]
    known = {_distribution(re.split(r"[^\w.-]", requirement)[0]) for requirement in declared}
    modules = [module for module in FILES if module.startswith(WITH_EXTRAS) == training]
    tops = {name.split(".")[0] for module in modules for name in IMPORTS[module] if not _is_ours(name)}
    tops -= {*sys.stdlib_module_names, "compression"}  # the standard library's zstd, from Python 3.14
    distributions = {"llama_cpp": ["llama-cpp-python"], **packages_distributions()}  # compiles, so no test installs it
    assert {top for top in tops if known.isdisjoint(map(_distribution, distributions.get(top, [top])))} == set()


def _distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
