import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.backends.cuda import BACKEND as CUDA
from runner.backends.cuda import provider_options
from runner.backends.registry import BUILT_IN, backend_names, find_backend
from runner.backends.spec import describe, parse_spec, parse_specs, size_bytes
from runner.errors import UsageError

CPU_DEFAULTS = {
    "threads": "auto",
    "spin": "on",
    "spin_duration_us": "default",
    "affinity": "any",
    "opt": "all",
    "denormal_as_zero": "off",
    "static": "off",
    "arena": "on",
    "instances": "1",
}


def test_a_bare_name_has_every_default() -> None:
    spec = parse_spec("cpu")
    assert (spec.label, spec.text, spec.name, spec.options) == ("cpu", "cpu", "cpu", CPU_DEFAULTS)


def test_options_replace_defaults_and_case_and_blanks_do_not_matter() -> None:
    spec = parse_spec(" CPU: Threads = 2 ,spin=OFF ")
    assert spec.name == "cpu"
    assert spec.options == CPU_DEFAULTS | {"threads": "2", "spin": "off"}


def test_a_label_names_the_backend_and_keeps_its_case() -> None:
    spec = parse_spec("No spin=cpu:spin=off")
    assert (spec.label, spec.text, spec.name) == ("No spin", "No spin=cpu:spin=off", "cpu")
    assert spec.options == CPU_DEFAULTS | {"spin": "off"}


@pytest.mark.parametrize(
    ("text", "label", "name", "interpreter"),
    [
        ("cpu@ort124", "cpu@ort124", "cpu", "ort124"),
        ("CPU @ Ort124 :threads=1", "CPU @ Ort124 :threads=1", "cpu", "ort124"),
        ("old=cpu@ort124:threads=1", "old", "cpu", "ort124"),
        ("me@home=cpu", "me@home", "cpu", None),
    ],
)
def test_an_interpreter_stands_between_name_and_options(
    text: str, label: str, name: str, interpreter: str | None
) -> None:
    spec = parse_spec(text)
    assert (spec.label, spec.name, spec.interpreter, spec.python) == (label, name, interpreter, None)
    assert spec.options == CPU_DEFAULTS | ({"threads": "1"} if "threads" in text else {})


def test_one_backend_under_two_interpreters_is_two_backends() -> None:
    assert [spec.interpreter for spec in parse_specs(("cpu", "cpu@old", "cpu@new"))] == [None, "old", "new"]


def test_a_default_may_be_written_out() -> None:
    assert parse_spec("cpu:threads=auto").options == CPU_DEFAULTS
    assert parse_spec("cuda:mem_limit=none").options["mem_limit"] == "none"


def test_one_backend_under_two_labels_is_two_backends() -> None:
    a, b = parse_specs(("A=cpu", "B=cpu"))
    assert (a.label, b.label) == ("A", "B")
    assert a.options == b.options


def test_two_specs_of_one_provider_are_two_backends_in_order() -> None:
    assert [spec.label for spec in parse_specs(("cpu:spin=off", "cpu"))] == ["cpu:spin=off", "cpu"]


@pytest.mark.parametrize("twice", [("cpu", "cpu"), ("A=cpu", "A=cpu:threads=1")])
def test_one_label_twice_is_refused_with_the_way_out(twice: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"was given twice.*--backend A=.* --backend B="):
        parse_specs(twice)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cud", r"Unknown backend 'cud'.* Did you mean cuda\? Valid: cpu, cuda"),
        ("CPUS", r"Unknown backend 'cpus'.* Did you mean cpu\?"),
        ("quantum", r"Unknown backend 'quantum'\. Valid: cpu, cuda"),
        (
            "cpu:thread=1",
            r"Unknown option 'thread' of backend cpu\. Did you mean threads\? Valid: threads, spin",
        ),
        ("cpu:threads=0", r"option 'threads' of backend cpu: expected a whole number from 1 up, got '0'"),
        ("cpu:threads=-1", r"expected a whole number from 1 up, got '-1'"),
        ("cpu:threads=two", r"expected a whole number from 1 up, got 'two'"),
        ("cpu:threads=²", r"expected a whole number from 1 up, got '²'"),
        ("cpu:spin=maybe", r"expected on or off, got 'maybe'\. Write for example cpu:spin=on"),
        ("cpu:threads=1,threads=2", r"Option 'threads' of .* was given twice"),
        ("cpu:threads", r"Cannot read option 'threads'.*: expected key=value\. Options of cpu: threads="),
        ("cpu:threads=", r"expected key=value"),
        ("cpu:", r"Cannot read option ''"),
        ("cpu:spin=on,", r"Cannot read option ''"),
        ("", r"Cannot read backend ''"),
        ("=cpu", r"Cannot read backend '=cpu': expected \[LABEL=\]NAME"),
        ("a=b=cpu", r"Cannot read backend"),
        ("cpu@", r"Cannot read backend 'cpu@': expected \[LABEL=\]NAME\[@INTERPRETER\]"),
        ("@ort124", r"Cannot read backend '@ort124'"),
        ("cpu@a@b", r"Cannot read backend 'cpu@a@b'"),
        ("cud@ort124", r"Unknown backend 'cud'"),
        ("cuda:device=-1", r"expected a whole number from 0 up, got '-1'"),
        ("cuda:mem_limit=0", r"expected bytes, with an optional K, M or G, got '0'"),
        ("cuda:mem_limit=2T", r"expected bytes, with an optional K, M or G, got '2t'"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_spec_or_a_usage_error(text: str) -> None:
    try:
        spec = parse_spec(text)
    except UsageError:
        return
    assert spec.name in backend_names()


@pytest.mark.parametrize(
    ("text", "expected"), [("7", 7), ("2K", 2048), ("512m", 512 * 2**20), ("3g", 3 * 2**30)]
)
def test_a_size_is_in_bytes(text: str, expected: int) -> None:
    assert size_bytes(text) == expected


@given(st.data())
def test_every_choice_of_every_backend_can_be_written(data: st.DataObject) -> None:
    backend = find_backend(data.draw(st.sampled_from(tuple(BUILT_IN))))
    values = {"count": "3", "index": "1", "size": "2G", "cores": "0-1+3"}
    chosen = {
        option.name: data.draw(st.sampled_from(option.choices or (values[option.check],)))
        for option in data.draw(st.lists(st.sampled_from(backend.options), unique=True, min_size=1))
    }
    for option in backend.options:
        if option.needs and option.name in chosen:
            chosen |= [option.needs]
    text = ",".join(f"{name}={value}" for name, value in chosen.items())
    options = parse_spec(f"{backend.name}:{text}").options
    written = {name: value.lower() for name, value in chosen.items()}
    assert options == {option.name: option.default for option in backend.options} | written


def test_the_description_names_every_option_with_its_values_and_default() -> None:
    text = describe(CUDA.options)
    assert "tf32=on|off (default on)" in text
    assert all(f"{option.name}=" in text and f"(default {option.default})" in text for option in CUDA.options)
    assert describe(()) == "none"


def test_cuda_options_reach_the_provider_in_its_own_words() -> None:
    assert provider_options(parse_spec("cuda").options) == {
        "device_id": "0",
        "use_tf32": "1",
        "prefer_nhwc": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kNextPowerOfTwo",
    }
    text = "cuda:device=1,tf32=off,nhwc=on,search=exhaustive,mem_limit=2G,arena=as-requested"
    assert provider_options(parse_spec(text).options) == {
        "device_id": "1",
        "use_tf32": "0",
        "prefer_nhwc": "1",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": str(2 * 2**30),
    }
