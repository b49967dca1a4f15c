"""What a finished report's folder holds for people, made from the report alone."""

from collections.abc import Callable, Mapping

from runner.render.markdown import to_markdown
from runner.report.schema import Report

RENDERINGS: Mapping[str, Callable[[Report], str]] = {"report.md": to_markdown}
"""by file name: what makes its text. `reports verify` makes it again"""
