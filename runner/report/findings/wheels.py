"""Two wheels of ONNX Runtime in the environment of joulebatch.

Backends of ONNX Runtime that would run there are refused before anything is measured; so this is found in runs of other
backends (`torch`), and of backends under another interpreter.
"""

from collections.abc import Iterator

from runner.backends.wheels import wheels_among
from runner.report.evidence import Evidence
from runner.report.schema import Finding, Report


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding where more than one installed distribution brings the package ``onnxruntime``."""
    del evidence
    versions = report.environment.versions
    wheels = wheels_among(versions)
    if len(wheels) > 1:
        yield Finding(
            kind="two-wheels",
            title="Several wheels of ONNX Runtime overwrite each other",
            detail=f"{' and '.join(f'{name} {versions[name]}' for name in wheels)} in one environment",
            remedy=f"Remove all, then install one: pip uninstall -y {' '.join(wheels)} && pip install {wheels[-1]}",
        )
