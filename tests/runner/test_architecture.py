"""Data flows one way: who may import whom, read from the source and tried in a bare interpreter."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT

SOURCES = tuple(sorted((ROOT / "runner").rglob("*.py")))

TERMINAL_VIEWS = (
    "runner.render.plan",
    "runner.render.machine",
    "runner.render.model",
    "runner.render.doctor_data",
    "runner.render.progress",
)
"""They show what no report holds yet: --explain, doctor and a run that goes on. Everything else shows a report."""

ANSWER_VIEWS = (
    "runner.render.recommendation",
    "runner.render.recommendation_data",
    "runner.render.policy_table",
    "runner.render.verification",
)
"""They show what the twin answers."""
TIMELINE_VIEWS = tuple(
    f"runner.render.{name}"
    for name in ("timeline", "timeline_data", "timeline_findings", "timeline_axes", "timeline_plot")
)
"""They show a timeline, which follows from a report and is computed before they get it."""
COMPARISON_VIEWS = ("runner.render.comparison", "runner.render.comparison_data", "runner.render.gate")
"""They show reports beside each other."""
PAGE_FILES = ("runner.render.html.assets", "runner.render.archived")
"""They put a file beside the reports, which pages draw with."""
SITE_VIEWS = ("runner.render.html.site", "runner.render.html.site_data")
"""They show an archive, whose overview is computed before they get it."""
QUERY_VIEWS = (
    "runner.render.views",
    *(f"runner.render.views.{name}" for name in ("runs", "cells", "windows", "queue")),
)
"""They make rows of a report for SQL, under columns as `runner.report.views` has them."""

WORKER_NEEDS = {"numpy"}
"""All that another interpreter must have, beside the library of the backend it runs."""


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, *, at_load: bool = False) -> Iterator[str]:
    """Yield what a file imports, names from ``runner`` in full; only what loading it needs when asked so."""
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            submodules = (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module
            yield from (name for name in submodules if name in MODULES)
        elif at_load and (isinstance(node, ast.FunctionDef) or _is_for_types(node)):
            continue
        todo += ast.iter_child_nodes(node)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


MODULES = {_name(path): path for path in SOURCES}
IMPORTS = {name: frozenset(_imports(path)) for name, path in MODULES.items()}


def _within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _ours(name: str) -> set[str]:
    return {each for each in IMPORTS[name] if _within(each, "runner")}


def _modules(*packages: str, but: tuple[str, ...] = ()) -> list[str]:
    found = [name for name in MODULES if _within(name, *packages) and name not in but]
    assert found, packages
    return found


def _stray(modules: list[str], *allowed: str) -> dict[str, set[str]]:
    """Return the imports of our own that are not allowed, by module."""
    return {
        name: stray
        for name in modules
        if (stray := {each for each in _ours(name) if not _within(each, *allowed)})
    }


def test_errors_clock_and_units_are_leaves() -> None:
    leaves = (
        "runner.errors",
        "runner.clock",
        "runner.extensible",
        "runner.gaps",
        "runner.variants",
        "runner.workers.protocol",
    )
    assert _stray([*leaves]) == {}
    assert _stray(["runner.units"], "runner.errors") == {}


def test_statistics_know_only_numbers() -> None:
    assert _stray(_modules("runner.stats"), "runner.stats") == {}
    outside = {each.partition(".")[0] for name in _modules("runner.stats") for each in IMPORTS[name]}
    assert outside - sys.stdlib_module_names <= {"runner", "numpy", "scipy"}


def test_meters_know_nothing_of_models_backends_and_reports() -> None:
    allowed = ("runner.meters", "runner.clock", "runner.errors", "runner.extensible", "runner.units")
    assert _stray(_modules("runner.meters"), *allowed) == {}


def test_loads_and_backends_know_nothing_of_the_run_around_them() -> None:
    allowed = ("runner.load", "runner.policies.interface", "runner.stats.stability", "runner.units")
    images, serving = ("runner.load.images", "runner.load.image_files"), "runner.load.serving"
    assert _stray(_modules("runner.load", but=(*images, serving)), *allowed) == {}
    # Images fit a model's declared input, can lack their library as a backend can, and are files that can be broken.
    about = ("runner.backends.interface", "runner.errors", "runner.manifest")
    assert _stray([*images], "runner.load.image_files", *about) == {}
    assert _stray([serving], "runner.backends.interface", "runner.backends.batch") == {}
    leaves = ("runner.machine.cpu", "runner.errors", "runner.variants")
    assert _stray(_modules("runner.backends"), "runner.backends", *leaves) == {}


def test_arrivals_and_policies_know_nothing_of_who_asks_them() -> None:
    leaves = ("runner.errors", "runner.units")
    assert _stray(_modules("runner.arrivals"), "runner.arrivals", *leaves) == {}
    assert _stray(_modules("runner.policies"), "runner.policies", *leaves) == {}


def test_the_twin_knows_figures_and_policies_and_nothing_of_processes() -> None:
    told = (
        "runner.backends.interface",
        "runner.twin",
        "runner.policies",
        "runner.arrivals",
        "runner.stats",
        "runner.meters.interface",
        "runner.report.schema",
        "runner.report.evidence",
        "runner.report.figures",
        "runner.report.joules",
        "runner.contender",
        "runner.onnx_sources",
        "runner.variants",
        "runner.errors",
        "runner.gaps",
        "runner.units",
    )
    assert _stray(_modules("runner.twin"), *told) == {}


def test_renderers_receive_a_report_and_never_measure() -> None:
    allowed = ("runner.render", "runner.report.schema", "runner.units", "runner.encodable")
    pages = _modules("runner.render.html", but=(*PAGE_FILES, *SITE_VIEWS))
    views = (*TERMINAL_VIEWS, *ANSWER_VIEWS, *TIMELINE_VIEWS, *COMPARISON_VIEWS, *QUERY_VIEWS)
    others = (*views, *PAGE_FILES, *SITE_VIEWS, *pages)
    assert _stray(_modules("runner.render", but=others), *allowed) == {}
    assert _stray(list(ANSWER_VIEWS), *allowed, "runner.twin.answers") == {}
    assert _stray(list(COMPARISON_VIEWS), *allowed, "runner.report.comparison") == {}
    facts = ("runner.report.views", "runner.conditions", "runner.meters.interface")
    assert _stray(list(QUERY_VIEWS), *allowed, *facts) == {}
    timeline = ("runner.report.timeline", "runner.report.timeline_figures", "runner.errors")
    assert _stray(list(TIMELINE_VIEWS), "runner.render", *timeline) == {}
    # A page shows a timeline and an answer; both follow from its report, and only its front door computes them.
    answer = ("runner.report.answer", "runner.report.costs")
    assert _stray(pages, *allowed, *timeline, *answer) == {}
    assert _stray(list(SITE_VIEWS), *allowed, "runner.report.overview", "runner.report.comparison") == {}
    assert _stray(list(PAGE_FILES), *allowed, "runner.errors", "runner.report.disk") == {}


def test_an_answer_follows_from_a_report_and_nothing_else() -> None:
    of_reports = (
        "runner.report.schema",
        "runner.report.evidence",
        "runner.report.costs",
        "runner.report.queue_rank",
        "runner.stats.front",
    )
    assert _stray(["runner.report.answer"], *of_reports) == {}
    facts = ("runner.backends.interface", "runner.meters.interface")
    assert _stray(["runner.report.costs"], "runner.report.schema", *facts) == {}


def test_converters_receive_a_report_and_never_compute_statistics() -> None:
    words = ("runner.render", "runner.report.schema", "runner.errors")
    assert _stray(_modules("runner.convert"), "runner.convert", *words, "runner.report.evidence") == {}
    # Which windows count is asked where it is decided; the registry costs the help nothing.
    users = [name for name in _modules("runner.convert") if "runner.report.evidence" in IMPORTS[name]]
    assert users == ["runner.convert.pyperf_suite"]
    loaded = set(_imports(MODULES["runner.convert.registry"], at_load=True))
    assert loaded <= {"dataclasses", "importlib", "typing"}


def test_views_of_what_is_no_report_are_given_facts_and_measure_nothing_themselves() -> None:
    facts = (
        "runner.backends.interface",
        "runner.config",
        "runner.diagnosis",
        "runner.durations",
        "runner.errors",
        "runner.manifest",
        "runner.meters.interface",
        "runner.model_diagnosis",
        "runner.plan",
        "runner.profiles",
        "runner.progress",
        "runner.workers.protocol",
        "runner.render",
        "runner.report.schema",
        "runner.selection",
        "runner.shapes",
        "runner.units",
    )
    assert _stray(list(TERMINAL_VIEWS), *facts) == {}


def test_the_schema_of_reports_knows_only_what_it_is_made_of() -> None:
    told = (
        "runner.backends.interface",
        "runner.conditions",
        "runner.contender",
        "runner.extensible",
        "runner.meters.interface",
        "runner.report.schema",
        "runner.stats.compare",
    )
    assert _stray(_modules("runner.report.schema"), *told) == {}
    assert (
        _stray(
            ["runner.report.references", "runner.report.versions"], "runner.report.schema", "runner.errors"
        )
        == {}
    )


def test_a_graph_is_counted_without_a_session_or_a_run() -> None:
    allowed = (
        "runner.graph",
        "runner.inputs",
        "runner.modelfile",
        "runner.backends.placement",
        "runner.errors",
    )
    assert _stray(_modules("runner.graph"), *allowed) == {}
    # What follows from shapes needs no more than a graph.
    assert _stray(["runner.graph.folding", "runner.graph.contents"]) == {}


def test_only_the_command_line_and_converters_render_and_nothing_imports_the_command_line() -> None:
    for name in MODULES:
        imported = _ours(name)
        if not _within(name, "runner.cli", "runner.render", "runner.convert"):
            # An archive holds report.md and report.html: the main path hands it the renderers.
            rendered = {each for each in imported if _within(each, "runner.render")}
            assert not rendered or (name, rendered) == ("runner.experiment", {"runner.render.archived"})
        if not _within(name, "runner.cli", "runner.__main__"):
            assert not any(_within(each, "runner.cli") for each in imported), name


def test_reports_are_made_of_journals_and_not_of_processes() -> None:
    measuring = (
        "runner.workers.child",
        "runner.workers.parent",
        "runner.workers.crew",
        "runner.bench",
        "runner.blocks",
        "runner.shifts",
        "runner.visits",
        "runner.prepare",
        "runner.idle",
        "runner.so_far",
        "runner.resume",
    )
    for name in _modules("runner.report"):
        assert not any(
            _within(each, *measuring, "runner.experiment", "runner.load") for each in _ours(name)
        ), name


@pytest.mark.parametrize("package", ["exporter", "torch", "torchvision"])
def test_the_runner_never_imports(package: str) -> None:
    assert [
        name for name, imported in IMPORTS.items() if any(_within(each, package) for each in imported)
    ] == []


def test_pydantic_is_in_the_configuration_and_the_report_only() -> None:
    users = [
        name for name, imported in IMPORTS.items() if any(_within(each, "pydantic") for each in imported)
    ]
    assert users
    assert all(_within(name, "runner.config", "runner.queue.config", "runner.report") for name in users)


def test_only_the_command_line_prints_exits_or_colours() -> None:
    for name, imported in IMPORTS.items():
        if not _within(name, "runner.cli"):
            assert not any(_within(each, "click") for each in imported), name
        if not _within(name, "runner.cli", "runner.render"):
            assert not any(_within(each, "rich") for each in imported), name


def _worker_files() -> set[str]:
    """Return what a worker loads: its imports, theirs, and the backends and sessions it looks up by name."""
    todo = ["runner.workers.child", "runner.bootstrap", "runner.backends.cpu", "runner.backends.cuda"]
    todo += ["runner.backends.providers", "runner.backends.onnxruntime_session", "runner.load.images"]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name in MODULES and name not in found:
            found.add(name)
            todo += _ours(name)
    return found


def test_a_worker_needs_only_the_standard_library_numpy_and_its_backend_s_own() -> None:
    for name in _worker_files():
        outside = {each.partition(".")[0] for each in _imports(MODULES[name], at_load=True)}
        assert outside - sys.stdlib_module_names - {"runner"} <= WORKER_NEEDS, name
        assert {each.partition(".")[0] for each in IMPORTS[name]} - sys.stdlib_module_names - {"runner"} <= (
            WORKER_NEEDS | {"onnxruntime", "PIL"}
        ), name


def test_a_worker_loads_in_an_interpreter_without_our_other_libraries() -> None:
    code = (
        "import sys\n"
        "blocked = 'pydantic click rich psutil scipy onnx onnxruntime torch duckdb pynvml pyRAPL PIL'.split()\n"
        "sys.modules |= dict.fromkeys(blocked)\n"  # None in sys.modules makes an import fail
        f"sys.path.insert(0, {str(ROOT / 'runner')!r})\n"
        "from bootstrap import load_runner\n"
        "load_runner()\n"
        "assert not any(path.endswith('/runner') for path in sys.path)\n"
        "import runner.workers.child, runner.load.images\n"
        "from runner.backends.registry import find_backend\n"
        "print(runner.workers.child.__file__, find_backend('cpu').name, find_backend('cuda').name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd="/", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(ROOT / "runner" / "workers" / "child.py"), "cpu", "cuda"]


def test_no_file_imports_a_heavy_library_before_it_is_needed() -> None:
    plots = ("plotly", "jinja2", "markupsafe", "PIL", "matplotlib")
    heavy = ("torch", "onnxruntime", "onnx", "duckdb", *plots, "pyperf", "mlflow")
    for name, path in MODULES.items():
        assert not any(_within(each, *heavy) for each in _imports(path, at_load=True)), name


def test_a_listing_loads_neither_the_schema_nor_what_draws_reports() -> None:
    code = (
        "import sys\n"
        "import runner.report.filters, runner.report.listing, runner.render.terminal, runner.render.numbers\n"
        "heavy = 'pydantic numpy scipy duckdb runner.report.schema runner.render.document'.split()\n"
        "assert not sys.modules.keys() & set(heavy), sys.modules.keys() & set(heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
