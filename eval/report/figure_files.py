"""Writes a report's figures as files for papers and slides."""

from __future__ import annotations

from pathlib import Path

from eval.report.data import ReportData
from eval.report.figures.figure import paper_style
from eval.report.illustrations import figures

FORMATS = ("svg", "png", "pdf")
_DOTS_PER_INCH = 300
# Without dates, so that the same run gives the same files.
METADATA = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}


def write_figures(data: ReportData, folder: Path) -> list[Path]:
    """Every figure of the run as SVG, PNG (300 dpi) and PDF, in light colours; the files that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with paper_style():
        for figure in figures(data):
            drawn = figure.paper()
            for form in FORMATS:
                path = folder / f"{figure.name}.{form}"
                temporary = folder / f".{figure.name}.{form}.partial"
                drawn.savefig(temporary, format=form, dpi=_DOTS_PER_INCH, metadata=METADATA[form])
                temporary.replace(path)
                written.append(path)
    return written
