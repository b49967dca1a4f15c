import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from runner.errors import AbsentError, UsageError
from runner.modelfile import STUDY_MODELS
from runner.render.plot_labels import place_labels
from runner.render.timeline_axes import fill_figure
from runner.render.timeline_plot import draw, suffix_of
from runner.report.archive import load
from runner.report.assemble import assemble
from runner.report.schema import Report
from runner.report.timeline import Timeline, timeline_of
from tests.fakes import YEARS, make_journal
from tests.processes import ROOT

REFERENCE = ROOT / "reports" / "reference" / "2026-11-24T02-49-53-b9yx"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def reference() -> Timeline:
    return timeline_of(load(REFERENCE))


@pytest.fixture(scope="module")
def svg(reference: Timeline) -> bytes:
    return draw(reference, ".svg")


def texts(svg: bytes) -> list[str]:
    """Return every text that a reader of an SVG finds, as an XML parser reads it."""
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def renamed(report: Report, old: str, new: str) -> Report:
    def of(name: str) -> dict[str, str]:
        return {"model": new} if name == old else {}

    return report.model_copy(
        update={
            "models": tuple(
                model.model_copy(update={"name": new}) if model.name == old else model
                for model in report.models
            ),
            "cells": tuple(cell.model_copy(update=of(cell.model)) for cell in report.cells),
            "sessions": tuple(entry.model_copy(update=of(entry.model)) for entry in report.sessions),
        }
    )


def test_an_svg_holds_every_network_on_both_axes_as_text(reference: Timeline, svg: bytes) -> None:
    found = texts(svg)
    assert all(found.count(model) == 2 for model in YEARS)
    assert "CPU time per image: 1.17x [0.87, 1.57] a year" in found
    assert any("(architecture reference, not of the measured files): +2.6" in text for text in found)
    assert f"Report {reference.report_id}: cpu, b1 @ 2/s" in found
    assert {"ms per image", "acc@1", "year of publication", "trend"} <= set(found)
    for label in ("no other is as accurate at as low a cost", "another is as accurate at as low a cost"):
        assert found.count(label) == 1


def test_the_same_timeline_gives_the_same_bytes_whatever_a_user_s_matplotlibrc_says(
    reference: Timeline, svg: bytes
) -> None:
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert draw(reference, ".svg") == svg
        assert mpl.rcParams["font.size"] == 30
    assert b"<dc:date>" not in svg


def test_a_png_is_of_the_size_that_a_page_takes(reference: Timeline) -> None:
    data = draw(reference, ".png")
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (1200, 960)
    assert draw(reference, ".png") == data


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_any_name_stays_text(suffix: str) -> None:
    names = ("<script>&amp;]]>\"'><text>", "--> $\\frac{1}$", "\x1b[2Ja\nb", "\u7f51\u7edc", "x" * 300)
    report = load(REFERENCE)
    for old, new in zip(YEARS, names, strict=True):
        report = renamed(report, old, new)
    data = draw(timeline_of(report), suffix_of(Path(f"x{suffix}")))
    if suffix == ".svg":
        shown = texts(data)
        lines = [line for name in names for line in name.replace("\x1b", "?").split("\n")]
        assert all(any(line in text for text in shown) for line in lines)


@pytest.mark.parametrize("energy", ["measured", "unavailable"])
def test_joules_and_occupancy_have_their_axes(energy: str) -> None:
    report = assemble(
        make_journal(STUDY_MODELS, ("cpu",), (1,), energy="measured")
        if energy == "measured"
        else make_journal(STUDY_MODELS, ("cpu",), (1,))
    )
    found = texts(draw(timeline_of(report), ".svg"))
    if energy == "measured":
        assert any(text.startswith("energy per image (CPU package + DRAM + GPU): ") for text in found)
        assert found.count("trend") == 1
    else:
        assert any(text.startswith("CPU occupancy per image: ") for text in found)
        assert not any("as accurate" in text for text in found)


@pytest.mark.parametrize(("count", "year"), [(2, None), (3, 2018)])
def test_networks_without_a_trend_can_be_drawn(count: int, year: int | None) -> None:
    report = assemble(make_journal(STUDY_MODELS[:count], ("cpu",), (1,), pace_hz=2))
    if year:
        models = tuple(model.model_copy(update={"year": year}) for model in report.models)
        report = report.model_copy(update={"models": models})
    found = texts(draw(timeline_of(report), ".svg"))
    assert all(found.count(model) == 2 for model in STUDY_MODELS[:count])
    assert "trend" not in found
    assert any(text.startswith("CPU time per image") for text in found)


def boxes(figure: Figure) -> Iterator[list[tuple[float, ...]]]:
    """Yield the rooms that the labels of each axes take, in pixels."""
    for axes in figure.axes:
        yield [
            tuple(child.get_window_extent().extents)
            for child in axes.get_children()
            if isinstance(child, Annotation) and child.get_text()
        ]


def overlapping(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])


def test_no_label_of_the_study_covers_another_or_leaves_its_axes(reference: Timeline) -> None:
    figure = Figure(figsize=(8.0, 6.4), dpi=150, layout="constrained")
    fill_figure(figure, reference)
    for axes, labels in zip(figure.axes, boxes(figure), strict=True):
        assert len(labels) == 5
        assert not any(overlapping(one, other) for one, other in combinations(labels, 2))
        frame = axes.get_window_extent().extents
        for left, bottom, right, top in labels:
            assert frame[0] <= left < right <= frame[2]
            assert frame[1] <= bottom < top <= frame[3]


def test_labels_of_points_in_one_place_go_around_it() -> None:
    figure = Figure(figsize=(8.0, 6.4), dpi=100)
    axes = figure.subplots()
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 10)
    place_labels(axes, [(5, 5, f"network {number}") for number in range(8)])
    [labels] = boxes(figure)
    assert len(labels) == 8
    assert not any(overlapping(one, other) for one, other in combinations(labels, 2))


@pytest.mark.parametrize("name", ["x.svg", "a.b/x.PNG"])
def test_the_name_of_a_file_says_what_it_is(name: str) -> None:
    assert suffix_of(Path(name)) == Path(name).suffix.lower()


@pytest.mark.parametrize(("name", "got"), [("x.pdf", "'.pdf'"), ("plot", "none"), ("svg", "none")])
def test_other_files_name_both_kinds(name: str, got: str) -> None:
    with pytest.raises(UsageError, match=rf"ends in \.svg or \.png, got {got}\. Write"):
        suffix_of(Path(name))


def test_without_matplotlib_the_error_says_how_to_get_it(
    reference: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(AbsentError, match=r"pip install 'joulebatch\[plot\]'"):
        draw(reference, ".svg")
