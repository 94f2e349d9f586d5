"""What was done, in paragraphs fit for a paper, from the run's facts alone."""

from __future__ import annotations

from eval.report.data import Protocol, ReportData, Scores
from eval.report.ranking import ranked_candidates, stopped_candidates
from eval.report.text import compact, counted, joined

_AGGREGATIONS = {
    "sum": "summed",
    "zscore": "standardised by their statistics on rollouts of the base policy, then summed",
    "group_normalised": "standardised within each group of completions, then summed",
}


_LOSSES = {"grpo": "GRPO", "dr_grpo": "Dr. GRPO", "dapo": "DAPO", "bnpo": "BNPO"}


def methods(data: ReportData) -> str:
    """Paragraphs with a blank line between them: search, training, selection and test, statistics."""
    if data.run.methods:
        return data.run.methods
    paragraphs = [_search(data), _training(data), _selection(data), _statistics(data)]
    return "\n\n".join(" ".join(sentences) for sentences in paragraphs if sentences)


def _search(data: ReportData) -> list[str]:
    run = data.run
    rounds = {candidate.round for candidate in data.candidates} | {entry.number for entry in data.rounds}
    proposer = f"The proposer {run.proposer}" if run.proposer else "A proposer"
    said = [
        f"{proposer} wrote {counted(len(data.candidates), 'candidate reward function')} in "
        f"{counted(len(rounds), 'round')}" + (f" (feedback between rounds: {run.feedback})." if run.feedback else ".")
    ]
    rejected = sum(candidate.status == "rejected" for candidate in data.candidates)
    failed = sum(candidate.status == "failed" for candidate in data.candidates)
    gate = f" ({run.gate.removeprefix('sandbox ')})" if run.gate else ""
    said.append(
        f"Each was checked in a sandbox{gate}; {_some(rejected, 'was', 'were')} rejected there and "
        + (f"{counted(failed, 'training run')} failed; neither is ranked." if failed else "no training run failed.")
    )
    duplicates = sum(candidate.status == "duplicate" for candidate in data.candidates)
    screened = next((c.prescreening for c in data.candidates if c.prescreening), None)
    if screened is not None:
        bound = run.protocol.duplicate_correlation if run.protocol else None
        left_out = (
            f"{counted(duplicates, 'was', 'were')} not trained, because ranks and group-relative advantages were those "
            "of an earlier one"
            if duplicates
            else "none had the ranks and group-relative advantages of an earlier one"
        )
        said.append(
            f"Before training each was scored on {screened.rollouts + screened.unscored:,} rollouts of the untrained "
            f"base policy; {left_out}"
            + (f" (both correlations at least {bound:g})." if bound is not None else ".")
            + " Intervals of these figures are jackknives over questions."
        )
    return said


def _training(data: ReportData) -> list[str]:
    run, protocol = data.run, data.run.protocol
    scored, halted = len(ranked_candidates(data)), len(stopped_candidates(data))
    if not data.candidates:
        return []
    whose = f"All {scored} were" if scored == len(data.candidates) else f"The other {scored} were"
    if protocol is not None:
        base = joined([_plain(name) for name in protocol.base_rewards])
        said = [
            f"{whose} screened by training the policy ({run.base_model}) on the task {run.task} with GRPO (Shao et al. "
            "2024)" + (f", the candidate's score added to the base rewards ({base})." if base else "."),
            _hyperparameters(protocol),
        ]
    else:
        settings = joined([f"{s.name} {s.value}" for s in run.settings])
        said = [
            f"{whose} screened by GRPO on {run.base_model}, summed with the base rewards"
            + (f" ({settings})." if settings else ".")
        ]
    if halted:
        said.append(
            f"{counted(halted, 'candidate was', 'candidates were')} stopped before that many steps by successive "
            "halving; scores of different numbers of steps are not ranked together."
        )
    flagged = sum(bool(candidate.flags) for candidate in data.candidates)
    if flagged:
        said.append(
            f"The training of {counted(flagged, 'candidate')} showed signs of reward hacking, found by fixed "
            "thresholds; a sign changes no rank."
        )
    return said


def _hyperparameters(protocol: Protocol) -> str:
    loss = _LOSSES.get(protocol.loss, protocol.loss)
    kl = f"KL weight {protocol.beta:g}" if protocol.beta else "no KL term"
    return (
        f"A run had {protocol.steps} optimizer steps of {protocol.prompts_per_step} prompts with "
        f"{protocol.generations} completions each, sampled at temperature {protocol.temperature:g} with at most "
        f"{protocol.max_completion_tokens} tokens; learning rate {_scientific(protocol.learning_rate)} "
        f"({protocol.learning_rate_schedule}), {loss} loss, {kl}, and LoRA adapters "
        f"(Hu et al. 2022) of rank {protocol.lora_rank} and alpha {protocol.lora_alpha}."
    )


def _selection(data: ReportData) -> list[str]:
    run, protocol = data.run, data.run.protocol
    said = []
    if data.candidates:
        on = f"the {run.selection_split} split of {run.task}"
        over = (
            f" ({protocol.selection_questions:,} questions, {counted(protocol.screening_seeds, 'training seed')})"
            if protocol
            else ""
        )
        said.append(f"Candidates were ranked by F1 of greedy answers on {on}{over}.")
    shown = _shown(data)
    if shown is not None:
        split = "test" if any(entry.test for entry in data.entries) else "validation"
        entries = "Ensembles and controls" if protocol else "Entries of the leaderboard"
        steps = f" for {protocol.final_steps} steps" if protocol else ""
        said.append(
            f"{entries} were trained anew{steps} with {counted(len(shown.seeds), 'fresh seed')} each and evaluated on "
            f"{shown.n:,} {split} questions of {run.task}."
        )
        if protocol is not None:
            how = _AGGREGATIONS.get(protocol.aggregation, protocol.aggregation)
            said.append(f"The scores of an ensemble's members were {how}.")
        draws = sum(bool(entry.control and "random" in entry.control) for entry in data.entries)
        if draws:
            served = "served as a control" if draws == 1 else "served as controls"
            said.append(f"{counted(draws, 'random draw')} of candidates {served} beside the base rewards alone.")
        if run.selection_split == "validation" and run.test_opened is not None:
            said.append("The winner was named on validation before the test split was opened.")
    return said


def _statistics(data: ReportData) -> list[str]:
    said = [
        "An answer counts as right if the strict extraction equals the gold answer; with TP right, FP wrong and FN "
        "unanswered questions, F1 = 2a / (1 + a) of the accuracy a, so both rank alike."
    ]
    shown = _shown(data)
    if shown is not None:
        said.append(
            "Intervals of 95 % over seeds and questions come from two-way random effects with Satterthwaite's "
            "degrees of freedom."
            if len(shown.seeds) > 1
            else "Intervals of 95 % are BCa bootstraps over questions (Efron 1987)."
        )
    if data.pairwise is not None:
        count = len(data.pairwise.tests)
        said.append(
            f"The {counted(count, 'pairwise comparison')} on the {data.pairwise.split} split are McNemar tests of one "
            "run each (exact below 25 discordant questions, else chi-square with continuity correction), with "
            "Bonferroni's and Holm's correction over each declared family and Tango's (1998) score interval for "
            "the difference."
        )
        if data.pairwise.margin is not None:
            said.append(
                "Equivalence means two one-sided score tests with a margin of "
                f"{100 * data.pairwise.margin:g} points of accuracy, stated beforehand."
            )
    if data.final_evidence is not None:
        said.append(
            "The optimism of the selection was estimated by repeating it on bootstrap samples and scoring what it "
            "picks on what was not drawn (Tsamardinos et al. 2018); probabilities of being best come from a normal "
            "hierarchical model (Gelman et al. 2013), intervals of ranks from all pairwise tests at once (Al Mohamad "
            "et al. 2022)."
        )
    return said


def _shown(data: ReportData) -> Scores | None:
    return next((scores for entry in data.entries for scores in (entry.test, entry.validation) if scores), None)


def _some(count: int, singular: str, plural: str) -> str:
    return counted(count, singular, plural) if count else f"none {singular}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _scientific(value: float) -> str:
    """Such as `5 × 10⁻⁶`."""
    if value >= 0.01:
        return compact(value)
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{float(mantissa):g} × 10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
