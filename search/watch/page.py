"""What the page shows: sections of the report, the jobs that run, what was recorded last."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from markupsafe import Markup

from eval.report.figures.training import curve_figure
from eval.report.opening import headline
from eval.report.ranking import ranked_candidates, shared_ranks
from eval.report.render import digest_of, render_sections
from eval.report.templates import environment, style
from search.config.source import parse_config
from search.driver.status import state_of
from search.jobs.descriptions import jobs_folder
from search.ledger import Ledger, is_driven
from search.ledger.connection import connected
from search.results.report import live_data, report_data
from search.watch.control import Control
from search.watch.jobs import FIGURES, RunningJob, running_jobs

SECTIONS = ("rounds", "finalists", "cost")
"""Of the report."""
MOST_EVENTS, MOST_RUNS = 40, 24


def page(token: str, *, control: bool = False) -> tuple[str, str]:
    """The empty page, which its script fills, and the content policy that it is to be sent with."""
    templates = environment("search.watch", autoescape=True)
    script = _resource("watch.js")
    html = templates.get_template("watch.html.j2").render(
        style=style("page/style.css") + Markup(_resource("watch.css")),
        script=Markup(script),
        sections=SECTIONS,
        token=token,
        control=control,
    )
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        f"script-src 'sha256-{digest_of(script)}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def recorded_parts(folder: Path) -> dict[str, str]:
    """What comes from the ledger, as HTML by the names of places in the page. Raises UserError if it cannot be read."""
    with closing(Ledger.open(folder)) as ledger:
        config = parse_config(ledger.fact("config"))
        data = live_data(config, ledger, running=is_driven(folder))
        now = state_of(folder, ledger)
    order = ranked_candidates(data)
    facts = {
        "data": data,
        "state": now,
        "rounds": config.search.rounds,
        "headline": headline(data),
        "candidates": list(zip(shared_ranks(c.scores for c in order), order, strict=True)),
        "unscored": [c for c in data.candidates if c not in order],
        "events": recorded_events(folder),
    }
    return {
        **render_sections(data, SECTIONS),
        **{name: _part(name, **facts) for name in ("state", "ranking", "events")},
    }


def control_part(control: Control) -> str:
    return _part("control", state=control.state(), problem=control.problem)


def running_parts(folder: Path) -> dict[str, str]:
    """What the folders of running jobs show."""
    jobs = running_jobs(jobs_folder(folder)) if is_driven(folder) else []
    return {"jobs": _part("jobs", jobs=[(job, _curves(job)) for job in jobs], most=MOST_RUNS)}


def whole_report(folder: Path) -> str:
    from eval.report.render import render

    with closing(Ledger.open(folder)) as ledger:
        return render(report_data(parse_config(ledger.fact("config")), ledger, running=is_driven(folder)))


def recorded_events(folder: Path) -> list[tuple[str, str]]:
    """When and what, the latest first."""
    queries = (
        "SELECT at, stage || ' ' || subject || ', seed ' || seed || coalesce(': unscored, ' || failure, '') FROM jobs",
        "SELECT at, 'gate ' || candidate || CASE accepted WHEN 1 THEN ': accepted' ELSE ': rejected' END FROM verdicts",
        "SELECT proposed_at, 'round ' || number || ' proposed' FROM rounds",
        "SELECT at, replace(name, '_', ' ') FROM milestones",
        "SELECT at, 'round ' || round || ': a call to the proposer' FROM calls",
    )
    with closing(connected(folder)) as connection:
        rows = connection.execute(f"{' UNION ALL '.join(queries)} ORDER BY 1 DESC LIMIT {MOST_EVENTS}").fetchall()
    return [(at[:19].replace("T", " "), words) for at, words in rows]


def _curves(job: RunningJob) -> list[tuple[str, list[Markup]]]:
    found = []
    for run, entries in job.curves.items():
        drawn = []
        for name in FIGURES:
            points = [(entry["step"], entry[name]) for entry in entries if name in entry]
            steps, values = [step for step, _ in points], [value for _, value in points]
            figure = curve_figure(name, steps, values) if len(points) > 1 else None
            drawn += [figure] if figure is not None else []
        found.append((run, drawn))
    return found


def _part(name: str, **facts: Any) -> str:
    said = environment("search.watch", autoescape=True).get_template(f"{name}.html.j2").render(**facts)
    return said.encode("utf-8", "replace").decode("utf-8").strip()


def _resource(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
