"""The report's figures: what each shows, drawn as SVG for the page and with matplotlib for papers."""

from eval.report.figures.bars import rank_bar, share_bar
from eval.report.figures.figure import PaperFigure
from eval.report.figures.forest import ForestFigure, ForestRow
from eval.report.figures.lineage import Ancestor, Descent, LineageFigure
from eval.report.figures.matrix import MatrixFigure
from eval.report.figures.rounds import Level, RoundMean, RoundPoint, RoundsFigure
from eval.report.figures.samples import SamplesFigure
from eval.report.figures.splits import SplitPoint, SplitsFigure
from eval.report.figures.time import TimeBar, TimeFigure
from eval.report.figures.training import Curve, TrainingFigure, curve_figure

__all__ = [
    "Ancestor",
    "Curve",
    "Descent",
    "ForestFigure",
    "ForestRow",
    "Level",
    "LineageFigure",
    "MatrixFigure",
    "PaperFigure",
    "RoundMean",
    "RoundPoint",
    "RoundsFigure",
    "SamplesFigure",
    "SplitPoint",
    "SplitsFigure",
    "TimeBar",
    "TimeFigure",
    "TrainingFigure",
    "curve_figure",
    "rank_bar",
    "share_bar",
]
