import csv
import io
import json
from dataclasses import replace

import pytest
from pytest_regressions.file_regression import FileRegressionFixture

from runner.render.markdown import sections_to_markdown
from runner.render.policy_table import percentile_text
from runner.render.recommendation import infeasible_text, recommendation_sections
from runner.render.recommendation_data import write_recommendation_csv, write_recommendation_json
from runner.render.terminal import write_sections
from runner.twin.answers import Question
from tests.runner.render.answers import ANSWERS, about, answered, found, rated, too_much, too_slow


def shown(name: str, width: int) -> str:
    stream = io.StringIO()
    write_sections(recommendation_sections(ANSWERS[name]()), stream, width, hint="-f csv has them")
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ANSWERS)
def test_tables(name: str, width: int, file_regression: FileRegressionFixture) -> None:
    file_regression.check(shown(name, width), extension=".txt", encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ANSWERS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    assert max(map(len, shown(name, width).splitlines())) <= width


def test_markdown(file_regression: FileRegressionFixture) -> None:
    text = sections_to_markdown(recommendation_sections(found()))
    file_regression.check(text, extension=".md", encoding="utf-8")


def test_at_80_columns_policy_percentile_and_cost_stay() -> None:
    text = shown("found", 80)
    for header in ("backend", "policy", "p95", "CPU", "winner's"):
        assert header in text


def test_what_is_infeasible_is_said_in_one_line() -> None:
    assert infeasible_text(too_much()) == "infeasible: rate above capacity 1025/s"
    assert infeasible_text(too_slow()) == "infeasible: best p95 is 240 ms (greedy:1 on cpu)"
    assert infeasible_text(found()) == ""


@pytest.mark.parametrize(("ratio", "text"), [(0.95, "p95"), (0.999, "p99.9"), (0.5, "p50"), (0.29, "p29")])
def test_percentiles_are_called_as_people_call_them(ratio: float, text: str) -> None:
    assert percentile_text(Question("uniform", 1.0, None, ratio, 0)) == text


@pytest.mark.parametrize("name", ANSWERS)
def test_json_holds_everything_but_rows(name: str) -> None:
    stream = io.StringIO()
    answer = ANSWERS[name]()
    write_recommendation_json(answer, stream)
    data = json.loads(stream.getvalue())
    assert data["question"]["arrivals"] == answer.question.arrivals
    assert len(data["rated"]) == len(answer.rated)
    assert data["infeasible"] == answer.infeasible
    assert "cost_by_row" not in stream.getvalue()
    if answer.winner:
        assert data["winner"]["prediction"]["policy"] == answer.winner.prediction.policy


def test_figures_that_are_none_are_null() -> None:
    each = found().rated[-1].prediction
    unknown = replace(each, response_s=about(float("nan")))
    stream = io.StringIO()
    write_recommendation_json(answered(rated=(rated(unknown, "no"),)), stream)
    assert json.loads(stream.getvalue())["rated"][0]["prediction"]["response_s"]["mean"] is None


def test_csv_is_a_row_per_prediction_with_its_part() -> None:
    stream = io.StringIO()
    answer = found()
    write_recommendation_csv(answer, stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [row["policy"] for row in rows] == [one.prediction.policy for one in answer.rated]
    [winner] = [row for row in rows if row["is_winner"] == "True"]
    assert winner["policy"] == "deadline:8@180ms"
    assert float(winner["low_cost_ratio"]) == pytest.approx(0.98)
    assert [row["naive"] for row in rows if row["naive"]] == [
        "largest batch",
        "batch 1",
        "largest batch",
        "batch 1",
    ]
    grows = rows[-1]
    assert (grows["stable"], grows["response_s"], grows["cost_ratio"]) == ("False", "", "")


def test_a_csv_without_predictions_has_a_header_alone() -> None:
    stream = io.StringIO()
    write_recommendation_csv(too_much(), stream)
    assert stream.getvalue() == "report_id\n"
