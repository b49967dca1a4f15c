"""The table of ONNX Runtime's providers: what differs between them, from their documentation at onnxruntime.ai."""

from collections.abc import Callable, Mapping

from runner.backends.interface import HALF, SINGLE, Option
from runner.backends.plugins import Plugin
from runner.backends.provider_backend import Library, ProviderBackend, ProviderRow
from runner.backends.session_options import AFFINITY, GRAPH_OPTIONS, THREAD_OPTIONS

_SESSION = (*THREAD_OPTIONS, *GRAPH_OPTIONS)
_DEVICE = Option("device", "0", "index of the GPU", check="index")
_PROVIDER_THREADS = Option(
    "threads", "auto", "threads of the provider; auto: the usable cores", check="count"
)


def _single_unless(*keys: str) -> Callable[[Mapping[str, str]], float]:
    """Return the tolerance of fp32, or of fp16 where one of these options is switched on."""
    return lambda options: (
        HALF if any(options.get(key, "0").lower() in {"1", "true"} for key in keys) else SINGLE
    )


def _half_unless(key: str, value: str) -> Callable[[Mapping[str, str]], float]:
    """Return the tolerance of fp16, or of fp32 where an option has this value."""
    return lambda options: SINGLE if options.get(key, "").lower() == value else HALF


OPENVINO = ProviderBackend(
    ProviderRow(
        name="openvino",
        provider="OpenVINOExecutionProvider",
        title="OpenVINO",
        summary="ONNX Runtime's OpenVINO execution provider, on the CPU",
        device="cpu",
        tolerance_ratio=lambda options: (
            SINGLE if options.get("precision", "FP32").upper() != "FP16" else HALF
        ),
        label="ov",
        wheel="onnxruntime-openvino",
        plugin=Plugin("onnxruntime-ep-openvino", "onnxruntime_ep_openvino", ("CPU",)),
        options=(_PROVIDER_THREADS, AFFINITY),
        keys={"threads": "num_of_threads"},  # it does not read ONNX Runtime's thread count
        fixed={"device_type": "CPU"},
        defaults={"precision": "FP32"},
        host_memory=True,
    )
)
TENSORRT = ProviderBackend(
    ProviderRow(
        name="tensorrt",
        provider="TensorrtExecutionProvider",
        title="TensorRT",
        summary="ONNX Runtime's TensorRT execution provider, on an NVIDIA GPU; CUDA takes what it leaves",
        device="gpu",
        tolerance_ratio=lambda options: HALF,  # noqa: ARG005 - TensorRT's builder may use TF32 unless it is told not to
        label="trt",
        wheel="'onnxruntime-gpu[cuda,cudnn]' 'tensorrt<11'",
        needs_nvidia=True,
        libraries=(
            Library("cuDNN", "libcudnn.so.9", pip="'onnxruntime-gpu[cuda,cudnn]'"),
            Library("TensorRT", "libnvinfer.so.10", "tensorrt_libs", "'tensorrt<11'"),
            Library("TensorRT's parser", "libnvonnxparser.so.10", "tensorrt_libs", "'tensorrt<11'"),
        ),
        options=(_DEVICE, *_SESSION),
        keys={"device": "device_id"},
        refused=("user_compute_stream", "has_user_compute_stream", "trt_cuda_graph_enable"),
        fallbacks=("CUDAExecutionProvider",),
        tensors_on="cuda",
    )
)
TENSORRT_RTX = ProviderBackend(
    ProviderRow(
        name="tensorrt-rtx",
        provider="NvTensorRTRTXExecutionProvider",
        title="TensorRT for RTX",
        summary="NVIDIA's TensorRT RTX plugin for ONNX Runtime, on an NVIDIA RTX GPU",
        device="gpu",
        tolerance_ratio=lambda options: HALF,  # noqa: ARG005 - as of TensorRT
        label="rtx",
        plugin=Plugin("onnxruntime-ep-nv-tensorrt-rtx", "onnxruntime_ep_nv_tensorrt_rtx", ("GPU",)),
        options=_SESSION,
        refused=("user_compute_stream", "has_user_compute_stream", "enable_cuda_graph"),
    )
)
MIGRAPHX = ProviderBackend(
    ProviderRow(
        name="migraphx",
        provider="MIGraphXExecutionProvider",
        title="MIGraphX",
        summary="ONNX Runtime's MIGraphX execution provider, on an AMD GPU",
        device="other",
        tolerance_ratio=_single_unless(
            "migraphx_fp16_enable", "migraphx_bf16_enable", "migraphx_fp8_enable", "migraphx_int8_enable"
        ),
        label="mgx",
        wheel="onnxruntime-migraphx",
        libraries=(Library("ROCm with MIGraphX", "libmigraphx_c.so.3"),),
        options=(_DEVICE, *_SESSION),
        keys={"device": "device_id"},
    )
)
COREML = ProviderBackend(
    ProviderRow(
        name="coreml",
        provider="CoreMLExecutionProvider",
        title="Core ML",
        summary="ONNX Runtime's Core ML execution provider, on what macOS picks: CPU, GPU or Neural Engine",
        device="other",
        tolerance_ratio=_half_unless(
            "MLComputeUnits", "cpuonly"
        ),  # GPU and Neural Engine may compute in fp16
        label="coreml",
        wheel="onnxruntime",
        system="Darwin",
        options=_SESSION,
    )
)
DIRECTML = ProviderBackend(
    ProviderRow(
        name="directml",
        provider="DmlExecutionProvider",
        title="DirectML",
        summary="ONNX Runtime's DirectML execution provider, on a DirectX 12 GPU",
        device="other",
        tolerance_ratio=_single_unless(),
        label="dml",
        wheel="onnxruntime-directml",
        system="Windows",
        options=(_DEVICE, *_SESSION),
        keys={"device": "device_id"},
    )
)
WEBGPU = ProviderBackend(
    ProviderRow(
        name="webgpu",
        provider="WebGpuExecutionProvider",
        title="WebGPU",
        summary="ONNX Runtime's WebGPU execution provider, on a GPU through Vulkan, Metal or Direct3D 12",
        device="other",
        tolerance_ratio=_single_unless(),
        label="wgpu",
        wheel="onnxruntime-webgpu",
        plugin=Plugin("onnxruntime-ep-webgpu", "onnxruntime_ep_webgpu", ("GPU",)),
        options=_SESSION,
        refused=("enableGraphCapture",),
    )
)
QNN = ProviderBackend(
    ProviderRow(
        name="qnn",
        provider="QNNExecutionProvider",
        title="QNN",
        summary="Qualcomm's QNN plugin for ONNX Runtime, on an NPU; on x86-64 Linux a simulator of it",
        device="other",
        tolerance_ratio=_half_unless("backend_type", "cpu"),  # its NPUs compute fp32 networks in fp16
        label="qnn",
        plugin=Plugin("onnxruntime-qnn", "onnxruntime_qnn", ("NPU", "GPU", "CPU")),
        options=_SESSION,
    )
)
XNNPACK = ProviderBackend(
    ProviderRow(
        name="xnnpack",
        provider="XnnpackExecutionProvider",
        title="XNNPACK",
        summary="ONNX Runtime's XNNPACK execution provider, on the CPU",
        device="cpu",
        tolerance_ratio=_single_unless(),
        label="xnn",
        build="./build.sh --use_xnnpack --build_wheel",
        options=(
            _PROVIDER_THREADS,
            # Two pools that spin would fight for the cores; its documentation says to leave one.
            Option("spin", "off", "whether idle threads of ONNX Runtime's own pool busy-wait", ("on", "off")),
            AFFINITY,
            *GRAPH_OPTIONS,
        ),
        keys={"threads": "intra_op_num_threads"},
        host_memory=True,
    )
)
