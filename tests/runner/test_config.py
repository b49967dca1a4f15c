import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from runner.cli.run import run
from runner.config import (
    QUICK_BUDGET_S,
    Pace,
    RunConfig,
    parse_batch_sizes,
    parse_gaps,
    parse_pace,
    read_toml,
)
from runner.errors import FileError, JoulebatchError, UsageError
from runner.variants import VARIANTS

FLAGS: dict[str, Any] = {
    "batch_sizes": "1,2",
    "target_ci_ratio": "2%",
    "models_dir": Path("models"),
    "reports_dir": Path("reports"),
}


TEXT = st.text(st.characters(codec="utf-8"))
ASKED: dict[str, st.SearchStrategy[Any]] = {
    "batch_sizes": st.sets(st.integers(1, 4096), min_size=1).map(lambda sizes: ",".join(map(str, sizes))),
    "target_ci_ratio": st.floats(0.001, 99.9).map(lambda percent: f"{percent:.3f}%"),
    "models_dir": st.just(Path("models")),
    "reports_dir": st.just(Path("a b/reports")),
}
MORE: dict[str, st.SearchStrategy[Any]] = {
    "models": st.lists(TEXT, max_size=2).map(tuple),
    "onnx_files": st.lists(
        st.sampled_from(["a.onnx", "b c.onnx", "new=a.onnx", "./a=b.onnx"]), max_size=2
    ).map(tuple),
    "shapes": st.sets(st.sampled_from(["x=3x8x8", "y=1", "z=2xBx4"])).map(tuple),
    "input_values": st.sets(st.sampled_from(["x=7", "y=0:30522", "z=a b/c.npy", "a=b=1.5"])).map(tuple),
    "variants": st.lists(st.sampled_from(VARIANTS), unique=True).map(tuple),
    "backends": st.lists(st.sampled_from(["cpu", "A=cpu:threads=1,spin=off"]), max_size=2).map(tuple),
    "interpreters": st.sets(st.sampled_from(["ort124=env/bin/python", "old=/opt/python"])).map(tuple),
    "baseline": st.none() | TEXT,
    "paces": st.lists(
        st.sampled_from(["2", "0.5@1,4", "8@2"]) | st.floats(1e-3, 1e6).map(str), max_size=3
    ).map(tuple),
    "gaps_s": st.sampled_from(["", "2ms", "20ms,2ms,0.1s"]),
    "queue": st.none()
    | st.fixed_dictionaries(
        {
            "policies": st.just(("fixed:4", "timeout:8@50ms")),
            "request_rates_hz": st.sampled_from(["16", "0.5,32"]),
        },
        optional={
            "relative_loads": st.just("0.3,0.6"),
            "arrivals": st.sampled_from(["poisson", "burst:9"]),
            "requests": st.integers(1, 10_000),
            "images": st.just(Path("a b")),
        },
    ),
    "mixed": st.booleans(),
    "profile": st.sampled_from(["quick", "standard", "publication"]),
    "time_budget_s": st.none() | st.sampled_from(["90s", "5m", "0.25s"]),
    "seed": st.integers(0, 2**63 - 1),
    "workers": st.none() | st.integers(1),
    "meter": st.sampled_from(["auto", "none"]),
    "cpu_watts": st.none() | st.just("10:65"),
    "allow_fallback": st.booleans(),
    "allow_unverified": st.booleans(),
    "allow_other_outputs": st.booleans(),
    "name": st.none() | TEXT,
}
"""a way to ask for every setting that need not be asked for"""


def _read(**flags: Any) -> RunConfig:
    return RunConfig.read({**FLAGS, **flags})


@pytest.mark.parametrize(
    ("text", "sizes"), [("1", (1,)), ("1,2,4", (1, 2, 4)), (" 16 , 4,1 ", (1, 4, 16)), ("007", (7,))]
)
def test_batch_sizes_are_ascending(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_batch_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "0", "-1", "1,,2", "1,two", "1.5", "1 2", "1,", "²", "1e3"])
def test_batch_sizes_that_are_no_whole_numbers_are_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"Cannot read batch sizes: expected whole numbers from 1 up, got '.*for ex"
    ):
        parse_batch_sizes(text)


@pytest.mark.parametrize("text", ["1,1", "4,2,4", "1,01"])
def test_a_batch_size_twice_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected each once, got \d twice\. Drop one"):
        parse_batch_sizes(text)


@given(st.sets(st.integers(1, 10_000), min_size=1))
def test_every_set_of_sizes_reads_back_in_order(sizes: set[int]) -> None:
    assert parse_batch_sizes(",".join(map(str, sizes))) == tuple(sorted(sizes))


@pytest.mark.parametrize(
    ("text", "pace"),
    [
        ("8", Pace(images_per_s=8, batch_sizes=())),
        ("0.5", Pace(images_per_s=0.5, batch_sizes=())),
        ("8@4,1", Pace(images_per_s=8, batch_sizes=(1, 4))),
    ],
)
def test_a_pace_is_a_rate_for_some_batch_sizes(text: str, pace: Pace) -> None:
    assert parse_pace(text) == pace


@pytest.mark.parametrize("text", ["", "0", "-2", "fast", "inf", "nan", "@1", "1e999"])
def test_a_pace_without_a_positive_rate_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"Cannot read --pace: expected images per second above 0.*for example 8"
    ):
        parse_pace(text)


def test_a_pace_at_bad_batch_sizes_is_refused() -> None:
    with pytest.raises(UsageError, match="Cannot read batch sizes"):
        parse_pace("8@0")


def test_text_is_read_once_and_units_are_in_the_names() -> None:
    config = _read(time_budget_s="90s", paces=("2", "8@1,4"), shapes=("x=3x8x8",), profile="standard")
    assert config.batch_sizes == (1, 2)
    assert config.time_budget_s == 90
    assert config.target_ci_ratio == pytest.approx(0.02)
    assert [pace.images_per_s for pace in config.paces] == [2, 8]
    assert config.shapes == {"x": (3, 8, 8)}


@given(st.fixed_dictionaries(ASKED, optional=MORE))
def test_what_a_report_holds_reads_back_as_the_same_configuration(flags: dict[str, Any]) -> None:
    config = RunConfig.read(flags)
    archived = json.loads(json.dumps(config.model_dump(mode="json")))
    assert RunConfig.read(archived) == config


def test_variants_keep_their_order_and_are_given_once() -> None:
    assert _read().variants == ("fp32",)
    assert _read(variants=("fp16", "fp32")).variants == ("fp16", "fp32")
    with pytest.raises(UsageError, match="Cannot use --variant: expected each once, got fp16 twice"):
        _read(variants=("fp16", "fp16"))
    with pytest.raises(UsageError, match=r"Unknown --variant 'int8-statik'.*Did you mean int8-static\?"):
        _read(variants=("int8-statik",))


@pytest.mark.parametrize("text", ["2", "2ms,,20ms", "0s", "soon"])
def test_gaps_without_a_unit_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"Cannot read --gaps: expected a positive number with ms, s or m"):
        parse_gaps(text)


def test_gaps_are_ascending_and_each_is_given_once() -> None:
    assert parse_gaps("20ms,2ms") == (0.002, 0.02)
    assert parse_gaps("") == ()
    with pytest.raises(UsageError, match="Cannot use --gaps: expected each duration once"):
        parse_gaps("20ms,0.02s")


def test_the_test_above_knows_every_setting() -> None:
    assert ASKED.keys() | MORE.keys() == RunConfig.model_fields.keys()


@pytest.mark.parametrize(
    ("profile", "budget", "expected"),
    [
        ("quick", None, QUICK_BUDGET_S),
        ("quick", "1m", 60),
        ("standard", None, None),
        ("publication", None, None),
    ],
)
def test_only_the_quick_profile_has_a_budget_of_its_own(
    profile: str, budget: str | None, expected: float | None
) -> None:
    assert _read(profile=profile, time_budget_s=budget).time_budget_s == expected


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("batch_sizes", "0"),
        ("paces", ("x",)),
        ("shapes", ("x",)),
        ("time_budget_s", "soon"),
        ("target_ci_ratio", "2"),
        ("seed", "x"),
        ("workers", 0),
        ("profile", "slow"),
        ("allow_fallback", "perhaps"),
        ("unheard_of", 1),
    ],
)
def test_whatever_is_wrong_is_one_line_with_what_was_expected_and_what_came(flag: str, value: object) -> None:
    with pytest.raises(UsageError, match=r": expected .*, got ") as caught:
        _read(**{flag: value})
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.exit_code == 2


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        _read().seed = 1


# TOML, through the command's own flags


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """Stop the command once it has a configuration, and keep that."""
    configs: list[RunConfig] = []

    def select(config: RunConfig) -> None:
        configs.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.selection.select", select)
    return configs


def _run(tmp_path: Path, toml: str, *flags: str) -> None:
    (tmp_path / "c.toml").write_text(toml)
    result = CliRunner().invoke(run, ["--config", str(tmp_path / "c.toml"), *flags])
    if isinstance(result.exception, JoulebatchError):
        raise result.exception


def test_toml_sets_flags_and_flags_win(tmp_path: Path, seen: list[RunConfig]) -> None:
    toml = 'batch-sizes = "1,8"\nprofile = "quick"\nseed = 7\nmodel = "alexnet"\nallow-fallback = true\n'
    _run(tmp_path, toml, "--seed", "9", "-m", "vit")
    (config,) = seen
    assert config.batch_sizes == (1, 8)
    assert config.profile == "quick"
    assert config.allow_fallback
    assert config.seed == 9
    assert config.models == ("vit",)


def test_toml_lists_are_repeated_flags_or_commas(tmp_path: Path, seen: list[RunConfig]) -> None:
    _run(tmp_path, 'batch-sizes = [1, 4]\nbackend = ["cpu", "cpu:spin=off"]\npace = [2, "8@1"]\n')
    (config,) = seen
    assert config.batch_sizes == (1, 4)
    assert config.backends == ("cpu", "cpu:spin=off")
    assert [pace.images_per_s for pace in config.paces] == [2, 8]


def test_a_toml_number_does_for_a_text(tmp_path: Path, seen: list[RunConfig]) -> None:
    _run(tmp_path, "batch-sizes = 4\npace = 2\nworkers = 3\n")
    (config,) = seen
    assert config.batch_sizes == (4,)
    assert config.workers == 3
    assert config.paces == (Pace(images_per_s=2, batch_sizes=()),)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("batchsizes = 1", r"Unknown setting 'batchsizes' in .*Did you mean batch-sizes\?"),
        ("explain = true", r"Unknown setting 'explain'"),
        ("batch-sizes = 0", r"expected whole numbers from 1 up, got '0'"),
        ("batch-sizes = [1, 1]", r"expected each once"),
        ('time-budget = "5"', r"expected a positive number with ms, s or m"),
    ],
)
def test_a_toml_setting_that_is_wrong_is_a_usage_error(
    toml: str, message: str, tmp_path: Path, seen: list[RunConfig]
) -> None:
    with pytest.raises(UsageError, match=message):
        _run(tmp_path, toml)
    assert not seen


@pytest.mark.parametrize("content", [b"a = ", b"[", b"\xff\xfe", None])
def test_what_is_no_toml_is_a_file_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        FileError, match=r"Cannot read .*c\.toml: expected a TOML file, got .*Correct --config"
    ):
        read_toml(path, ("a",))
