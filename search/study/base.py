"""The base of studies: arms over shared seeds, run unit by unit, compared by paired differences, and reported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from eval.report.data import Setting
from eval.report.study.data import Arm, Family, StudyReport, Table, TrajectoryFigure
from eval.statistics.replicates import least_sign_flip_p_value
from rewards_generated.errors import UserError
from search.config.models import SearchConfig
from search.executors.base import Executor
from search.jobs.descriptions import jobs_folder
from search.jobs.dispatch import run_jobs, unscored
from search.jobs.packing import RunDone, train_runs
from search.session import Progress
from search.study.words import Words
from trainer.jobs.base import Done, Job
from trainer.jobs.train import TrainJob

Size = Literal["quick", "full"]
"""`quick`: minutes on two cores, to see the study run; `full`: a GPU, or about an hour, to learn something."""

ArmKind = Literal["main", "other", "control"]


class Record(BaseModel):
    """What a unit measured, or a part of it; every study has records of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)
Results = Mapping[str, BaseModel]
"""Records of the units that ended, by name."""


def plain(record: BaseModel) -> Any:
    """As JSON values, without what was never set."""
    return record.model_dump(mode="json", exclude_unset=True)


@dataclass(frozen=True, slots=True)
class Cost:
    """Upper bounds of what a part of a study takes."""

    candidates: int = 0
    """Proposed and checked."""
    trainings: int = 0
    processes: int = 0
    """That load the base policy: one for every pack or single run."""
    steps: int = 0
    """Optimizer steps of all trainings."""
    completions: int = 0
    """Sampled in training."""
    questions: int = 0
    """Greedy answers."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of a study that is run and recorded as one. It may build on units before it."""

    name: str
    """Unique, and fit for a file name."""
    label: str
    """For people."""
    cost: Cost
    record: type[BaseModel]
    """What it leaves."""
    seeds: tuple[int, ...] = ()
    part: str = ""
    """Which of several units of these seeds it is, such as an arm."""
    after: tuple[str, ...] = ()
    """Units without whose records it cannot run; they stand before it. It waits where one of them waits."""


@dataclass(frozen=True, slots=True)
class StudyContext:
    """What a unit works with."""

    folder: Path
    """Of the whole study. A unit writes below it, so that it can go on where it was interrupted."""
    progress: Progress
    executor: Executor
    """Jobs lie in the study's folder by their digests, so that an interrupted unit goes on with those left."""

    def train(self, what: str, jobs: Sequence[TrainJob], steps: int) -> dict[str, RunDone]:
        """The runs of the jobs, by digest; `steps`: of one of them, in the mean."""
        self.progress.phase(what, sum(len(job.members) for job in jobs), steps)
        found = {}
        with closing(train_runs(self.executor, jobs, jobs_folder(self.folder))) as ended:
            for done in ended:
                found[done.run.digest] = done
                self.progress.job_done(done.run.label, unscored(done.result), done.together)
        return found

    def run(self, what: str, jobs: Sequence[Job], read: Callable[[Done], T]) -> dict[str, T]:
        """What is read from each job when it has ended, by digest. Raises UserError where one fails."""
        self.progress.phase(what, len(jobs))
        found = {}
        with closing(run_jobs(self.executor, jobs, jobs_folder(self.folder))) as ended:
            for done in ended:
                if done.result.failure is not None:
                    raise UserError(
                        f"{done.job.label} failed: {done.result.failure}; see {done.folder}, and resume to try again"
                    )
                found[done.job.digest] = read(done)
                self.progress.job_done(done.job.label, None)
        return found


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the units recorded so far come to. Headline and caveats are written from it; a study may add to it."""

    complete: bool
    """Whether all of the study is in."""
    families: Sequence[Family] = ()
    figures: Sequence[TrajectoryFigure] = ()
    tables: Sequence[Table] = ()


class Study(ABC):
    """A subclass says what is run and what the records come to; its template `NAME/report.j2` holds the words."""

    name: ClassVar[str]
    """As on the command line."""
    presets: ClassVar[Mapping[Size, tuple[int, tuple[str, ...]]]]
    """By size: seeds, and the `field=value` assignments that make the preset `testbed` the study's configuration."""
    arms: ClassVar[Mapping[str, ArmKind]]
    """Of the report, and how each is drawn."""
    declared: ClassVar[int]
    """Pairs that the primary comparisons were declared with."""

    def __init__(self, size: Size, seeds: int, config: SearchConfig) -> None:
        """`seeds`: runs per arm, each with a seed of its own; the arms share the seeds, of which the first is that of
        the configuration: task, base policy and training of every run.

        Raises UserError for settings under which the study has no answer.
        """
        self.size, self.seeds, self.config = size, seeds, config
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Raises UserError; see the constructor."""

    @property
    def seed_numbers(self) -> tuple[int, ...]:
        return tuple(range(self.config.seed, self.config.seed + self.seeds))

    @property
    def least_p(self) -> float:
        """The smallest corrected p that the exact test of a primary comparison can give."""
        return min(1.0, self.declared * least_sign_flip_p_value(self.seeds))

    @property
    def words(self) -> Words:
        return Words(self, f"{self.name}/report.j2")

    @property
    def outline(self) -> Sequence[str]:
        """Sentences that say what the study does, for a plan."""
        return self.words.paragraphs("outline")

    @abstractmethod
    def units(self) -> Sequence[Unit]:
        """In the order in which they run. A function of the constructor's arguments alone."""

    @abstractmethod
    def run(self, unit: Unit, context: StudyContext) -> BaseModel:
        """Runs the unit, or what is left of it if it was interrupted. Raises UserError where it cannot, and
        AwaitingAnswer where a person has to answer first."""

    def search_folder(self, folder: Path, unit: Unit) -> Path:
        """Of the search that a unit is, whose questions are answered; `folder`: of the study."""
        raise NotImplementedError(f"the study {self.name} asks nobody")

    @abstractmethod
    def findings(self, words: Words, results: Results) -> Findings:
        """What the units recorded so far come to; all of them, if the study is over."""

    def ended(self, results: Results, record: type[R], part: str = "") -> list[R | None]:
        """By seed, what its unit of that part recorded; None: it has not ended."""
        names = {seed: unit.name for unit in self.units() if unit.part == part for seed in unit.seeds}
        found = [results.get(names[seed]) for seed in self.seed_numbers]
        return [item if isinstance(item, record) else None for item in found]

    def measured(self, results: Results) -> dict[str, Any]:
        """What the JSON form of the report holds of the records."""
        return {name: plain(record) for name, record in results.items()}

    def report(self, results: Results) -> StudyReport:
        words = self.words
        found = self.findings(words, results)
        return StudyReport(
            name=self.name,
            title=words.text("title"),
            headline=words.text("headline", found),
            claim=words.text("claim"),
            caveats=tuple(words.paragraphs("caveats", found)),
            arms=tuple(
                Arm(name=arm, description=text, kind=self.arms[arm]) for arm, text in words.entries("arms").items()
            ),
            seeds=self.seed_numbers,
            figures=tuple(found.figures),
            families=tuple(found.families),
            tables=tuple(found.tables),
            methods=words.text("methods"),
            settings=tuple(Setting(name=name, value=value) for name, value in words.entries("settings").items()),
            size=self.size,
            complete=found.complete,
            record=self.measured(results),
        )
