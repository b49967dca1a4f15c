"""The views of ``reports query``: every report as rows, the same that ``-f csv`` writes and more."""

from runner.render.views.cells import CELLS
from runner.render.views.queue import QUEUE_CELLS, QUEUE_WINDOWS
from runner.render.views.runs import BACKENDS, MODELS, RUNS
from runner.render.views.windows import INFERENCES, WINDOWS

VIEWS = (RUNS, CELLS, WINDOWS, INFERENCES, QUEUE_CELLS, QUEUE_WINDOWS, MODELS, BACKENDS)
