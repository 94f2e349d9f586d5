"""What is exported and what is refused, what stands in the card, and what hosts see when a member fails."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rewards_generated.adapters.trl import trl_member_functions, trl_reward_functions
from rewards_generated.ensemble import Ensemble, Member
from rewards_generated.errors import UserError
from rewards_generated.export import Figure, Provenance, export_ensemble
from rewards_generated.export.source import reads_prompt
from rewards_generated.gate import GateSettings, Verdict
from rewards_generated.gate.members import check_member
from rewards_generated.library import library_codes
from rewards_generated.schedule import Schedule
from tests.rewards_generated.export.hosts import load
from tests.rewards_generated.export.test_scores import accepted, export

FRAGILE = "def reward(prompt, completion, answer):\n    return 1 / len(completion)\n"
HUGE = "def reward(prompt, completion, answer):\n    return 1e9 if completion else 0\n"
READER = "def reward(p, c, a):\n    return float(len(p))\n"
RIGHT = "<thinking> 1 + 1 = 2 </thinking> <solution> 2 </solution>"


def loaded(tmp_path: Path, *members: Member, **fields: Any) -> ModuleType:
    ensemble = Ensemble(name="mine", members=members, **fields)
    return load(export(ensemble, tmp_path / "exported") / "reward.py")


def test_a_member_without_a_verdict_is_put_through_the_gate(tmp_path: Path) -> None:
    good = Ensemble(name="good", members=(Member(name="repair", code=library_codes()["repair"]),))
    text = (export_ensemble(good, tmp_path / "good") / "README.md").read_text(encoding="utf-8")
    assert "of 28 checks" in text
    assert "doubtful: ignores\\_answer" in text
    bad = Ensemble(name="bad", members=(Member(name="constant", code="def reward(a, b, c):\n    return 1.0\n"),))
    with pytest.raises(
        UserError, match=r"member 'constant' of ensemble 'bad' is not exported, the gate rejected it: con"
    ):
        export_ensemble(bad, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_verdicts_are_believed_only_for_their_own_code_and_under_the_static_policy(tmp_path: Path) -> None:
    member = Member(name="fragile", code=FRAGILE)
    ensemble = Ensemble(name="mine", members=(member,))
    other = {"fragile": Verdict(accepted=True, identity="0" * 64, checks=())}
    with pytest.raises(UserError, match="verdict is of other code"):
        export_ensemble(ensemble, tmp_path / "a", verdicts=other)
    rejected = {"fragile": Verdict(accepted=False, identity=member.identity, checks=())}
    with pytest.raises(UserError, match="the gate rejected it"):
        export_ensemble(ensemble, tmp_path / "a", verdicts=rejected)
    reading = Member(name="reading", code="def reward(p, c, a):\n    return float(len(open(c).read()))\n")
    with pytest.raises(UserError, match=r"'reading' .* static policy refuses it: line 2: `open` is not allowed"):
        export_ensemble(Ensemble(name="mine", members=(reading,)), tmp_path / "a", verdicts=accepted(reading))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    ensemble = Ensemble(name="mine", members=(Member(name="answer_check"),))
    (tmp_path / "empty").mkdir()
    assert sorted(path.name for path in export_ensemble(ensemble, tmp_path / "empty").iterdir()) == [
        "README.md",
        "ensemble.toml",
        "reward.py",
    ]
    with pytest.raises(UserError, match="not an empty folder"):
        export_ensemble(ensemble, tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not an empty folder"):
        export_ensemble(ensemble, tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        export_ensemble(ensemble, tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


@pytest.mark.parametrize("code", [FRAGILE, HUGE])
def test_trl_leaves_out_what_could_not_be_scored(code: str, tmp_path: Path) -> None:
    module = loaded(tmp_path, Member(name="answer_check"), Member(name="member", code=code))
    (reward,) = module.reward_funcs
    broken = "" if code == FRAGILE else "text"
    fine = {FRAGILE: "abcd", HUGE: ""}[code]
    assert reward(["p"] * 2, [broken, fine], answer=["2"] * 2) == [None, 0.25 if code == FRAGILE else 0.0]
    assert module.failures == {"member": 1}


def test_hosts_that_need_a_number_get_the_rest_and_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    module = loaded(tmp_path, Member(name="format_approximate"), Member(name="fragile", code=FRAGILE))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            result = module.compute_score("any", "", "2")
            assert result == {"format_approximate": -2.0, "fragile": 0.0, "failed_members": 1.0, "score": -2.0}
    assert len(caplog.records) == 3
    assert "'fragile' of ensemble 'mine' could not score a completion: it raised ZeroDivisionError" in caplog.text
    assert module.failures == {"fragile": 5}
    assert module.verifiers_reward("p", "", "2") == -2.0
    answer = module.reward_func([""], [""], ["2"])
    assert [float(value) for value in answer["rewards"]] == [-2.0]
    assert answer["extra_logs"] == {"failed_members": 1.0, "format_approximate": -2.0, "fragile": 0.0}


def test_openrlhf_gets_a_tensor_where_there_is_torch(tmp_path: Path) -> None:
    import torch

    module = loaded(tmp_path, Member(name="answer_check"))
    rewards = module.reward_func([f"q{RIGHT}"], ["q"], ["2"])["rewards"]
    assert torch.equal(rewards, torch.tensor([3.0]))


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("<|im_start|>system\nx<|im_end|>\n<|im_start|>user\n1 + 1 ?<|im_end|>\n<|im_start|>assistant\n", "1 + 1 ?"),
        (
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nx<|eot_id|><|start_header_id|>user"
            "<|end_header_id|>\n\n1 + 1 ?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            "1 + 1 ?",
        ),
        ("<bos><start_of_turn>user\na<end_of_turn>\n<start_of_turn>user\n1 + 1 ?<end_of_turn>\n", "1 + 1 ?"),
        ("<s>[INST] 1 + 1 ? [/INST]", "1 + 1 ?"),
        ("Question: 1 + 1 ?", "Question: 1 + 1 ?"),
    ],
)
def test_the_last_user_message_is_found_in_templated_prompts(prompt: str, text: str, tmp_path: Path) -> None:
    module = loaded(tmp_path, Member(name="answer_check"))
    assert module.templated_prompt_text(prompt) == text


def test_end_tokens_are_cut_off_and_nothing_else(tmp_path: Path) -> None:
    module = loaded(tmp_path, Member(name="format_exact"))
    for end in ("<|im_end|>", "<|eot_id|><|end_of_text|>", "</s>", "<eos><pad><pad>", "<｜end▁of▁sentence｜>", ""):
        assert module.without_end_tokens(RIGHT + end) == RIGHT
        assert module.reward_func([f"q{RIGHT}{end}"], ["q"], ["2"])["scores"][0] == 3.0
    assert module.without_end_tokens("a </thinking>") == "a </thinking>"


def test_verl_needs_the_prompt_only_where_a_member_reads_it(tmp_path: Path) -> None:
    reader = Member(name="reader", code="def reward(p, c, a):\n    return float(len(p))\n")
    module = loaded(tmp_path, Member(name="answer_check"), reader)
    chat = [{"role": "system", "content": "x"}, {"role": "user", "content": "abc"}]
    assert module.compute_score("any", RIGHT, 2, {"prompt": chat, "question": "no"})["score"] == 6.0
    assert module.compute_score("any", RIGHT, 2, {"question": "ab"}, reward_router_address=None)["score"] == 5.0
    with pytest.raises(
        ValueError, match=r"'reader' of ensemble 'mine' reads the prompt: put it .* extra_info\['prompt'\]"
    ):
        module.compute_score("any", RIGHT, 2, {"index": 0})
    with pytest.raises(ValueError, match="gold answer"):
        module.compute_score("any", RIGHT, None, {"prompt": chat})


def test_group_normalised_hands_verl_the_members_apart(tmp_path: Path) -> None:
    members = (Member(name="answer_check", weight=2.0), Member(name="fragile", code=FRAGILE))
    module = loaded(tmp_path, *members, aggregation="group_normalised")
    text = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "'algorithm.gdpo_reward_keys=[answer_check,fragile]' 'algorithm.gdpo_reward_weights=[2,1]'" in text
    scores = module.compute_member_scores("any", "<solution>2</solution>", "2")
    assert scores == {"score": 6.0 + 1 / 22, "answer_check": 3.0, "fragile": 1 / 22}
    for name in ("compute_score", "reward_func", "verifiers_reward", "verifiers_task_reward"):
        with pytest.raises(module.UnsuitableHost, match="'mine' aggregates by group_normalised"):
            getattr(module, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


FADING = (
    Member(name="answer_check", schedule=Schedule(kind="linear", to=0.0)),
    Member(name="fragile", code=FRAGILE, weight=2.0, schedule=Schedule(kind="switch", to=-22.0, at=0.5)),
)


def test_trl_says_how_far_the_run_is(tmp_path: Path) -> None:
    module = loaded(tmp_path, *FADING)
    (ours,) = trl_reward_functions(Ensemble(name="mine", members=FADING))
    (reward,) = module.reward_funcs
    text = "<solution>2</solution>"
    for done, total in ((0, 3.0 + 2 / 22), (1, 2.25 + 2 / 22), (2, 1.5 - 1.0), (3, 0.75 - 1.0)):
        state = SimpleNamespace(global_step=done, max_steps=4)
        assert reward(["p"], [text], answer=["2"], trainer_state=state) == [pytest.approx(total)]
        assert ours(["p"], [text], answer=["2"], trainer_state=state) == [pytest.approx(total)]
        assert module.score(["p"], [text], ["2"], progress=done / 4) == [pytest.approx(total)]
    with pytest.raises(module.UnsuitableHost, match=r"'answer_check' .* nothing says how far the run is"):
        reward(["p"], [text], answer=["2"])
    with pytest.raises(UserError, match="passes no `trainer_state`"):
        ours(["p"], [text], answer=["2"])
    card = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "| `answer_check` | 1 to 0 over the run |" in card
    assert "| `fragile` | 2 to -22 after 50% of the steps |" in card
    assert "compute_score" not in card


def test_trainers_that_do_not_say_how_far_the_run_is_are_refused_by_name(tmp_path: Path) -> None:
    module = loaded(tmp_path, *FADING)
    for name, host in {
        "compute_score": "verl's compute_score",
        "compute_member_scores": "verl's compute_member_scores",
        "reward_func": "OpenRLHF's reward_func",
        "verifiers_functions": "verifiers' rubric function",
        "verifiers_task_reward": "verifiers' reward of a v1 task",
        "slime_reward": "slime's reward of one sample",
        "slime_group_reward": "slime's reward of a group",
        "areal_reward": "AReaL's reward function",
        "skyrl_env": "SkyRL-gym's environment",
        "tinker_env": "tinker-cookbook's environment",
    }.items():
        with pytest.raises(module.UnsuitableHost, match=f"'answer_check', 'fragile' .* {host} is not told"):
            getattr(module, name)


def test_no_trainer_takes_a_schedule_of_group_normalised(tmp_path: Path) -> None:
    ensemble = Ensemble(name="mine", members=FADING, aggregation="group_normalised")
    with pytest.raises(UserError, match="not exported: the weight of 'answer_check', 'fragile' has a schedule"):
        export(ensemble, tmp_path / "exported")
    with pytest.raises(UserError, match="TRL's reward_weights are constant"):
        trl_member_functions(ensemble)


def test_a_member_is_judged_at_both_ends_of_its_schedule() -> None:
    """Paid at the end what it is fined at the start, it prefers wrong answers there alone."""
    code = (
        "def reward(prompt, completion, answer):\n"
        '    """Pays for the right answer."""\n'
        "    return 4.0 if f'<solution>{answer}</solution>' in completion.replace(' ', '') else 0.0\n"
    )
    turning = Member(name="turning", code=code, schedule=Schedule(kind="linear", to=-3.0))
    verdict = check_member(turning, GateSettings())
    assert not verdict.accepted
    assert any(reason.startswith("prefers_wrong") for reason in verdict.reasons)
    assert check_member(
        turning.model_copy(update={"schedule": Schedule(kind="linear", to=0.0)}), GateSettings()
    ).accepted


def test_a_missing_answer_column_is_named(tmp_path: Path) -> None:
    module = loaded(tmp_path, Member(name="answer_check"))
    with pytest.raises(ValueError, match="no column 'answer'"):
        module.reward_funcs[0](["p"], [RIGHT], solution=["2"])
    (reward,) = module.trl_reward_functions("solution")
    assert reward(["p"], [RIGHT], solution=[2]) == [3.0]


def test_a_verifiers_task_without_an_answer_is_told_so(tmp_path: Path) -> None:
    module = loaded(tmp_path, Member(name="answer_check"))
    trace = SimpleNamespace(last_reply=RIGHT)
    assert asyncio.run(module.verifiers_task_reward(SimpleNamespace(prompt="p", answer="2"), trace)) == 3.0
    with pytest.raises(AttributeError, match="has no `answer`"):
        asyncio.run(module.verifiers_task_reward(SimpleNamespace(prompt="p"), trace))


def test_which_members_read_the_prompt() -> None:
    found = {name for name, code in library_codes().items() if reads_prompt(Member(name=name, code=code))}
    assert {"uses_given_numbers", "no_invented_numbers"} <= found
    assert "repair" not in found
    assert not reads_prompt(Member(name="answer_check"))
    batch = "def f(completions, {}**columns):\n    return [0.0 for _ in completions]\n"
    assert reads_prompt(Member(name="batch", code=batch.format("prompts, ")))
    assert not reads_prompt(Member(name="batch", code=batch.format("").replace(", **columns", "")))


def test_names_and_descriptions_cannot_break_out(tmp_path: Path) -> None:
    name = "x`|\n# '''\"\"\"\\"
    description = "pays | <script>alert(1)</script>\n# not a heading [link](http://x)"
    members = (Member(name=name, code=FRAGILE),)
    ensemble = Ensemble(name=name, members=members)
    provenance = Provenance(
        found=["found\n# by chance"],
        figures=[Figure("a|b", "test", "0.5 [0.4, 0.6]", "0.667 [0.571, 0.750]", 100, 3)],
        notes=["mind | this"],
        origins={name: "a `model`"},
        descriptions={name: description},
    )
    folder = export_ensemble(ensemble, tmp_path / "out", verdicts=accepted(*members), provenance=provenance)
    module = load(folder / "reward.py")
    assert name == module.NAME
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "\n# by" not in text
    assert "\n# not" not in text
    assert "pays \\|" in text
    assert "| a\\|b | test | 0.5 [0.4, 0.6] | 0.667 [0.571, 0.750] | 100 | 3 |" in text
    assert "runs without a sandbox" in text
    assert "(from a \\`model\\`)" in text


def test_trl_logs_every_member_and_pickles_the_functions(tmp_path: Path) -> None:
    """In a process of its own, as a trainer imports the folder, and in the one that unpickles there."""
    export(Ensemble(name="mine", members=(Member(name="answer_check"), Member(name="format_exact"))), tmp_path / "mine")
    program = (
        "import pickle, sys; sys.path.insert(0, 'mine'); import reward\n"
        "function = pickle.loads(pickle.dumps(reward.reward_funcs[0])); logged = {}\n"
        f"texts = [{RIGHT!r}, '<solution> 3 </solution>']\n"
        "totals = function(prompts=['p', 'p'], completions=texts, answer=['2', '2'], log_metric=logged.__setitem__)\n"
        "assert totals == [6.0, -1.5], totals\n"
        "assert logged == {'mine/answer_check': 0.75, 'mine/format_exact': 1.5}, logged\n"
        "assert function.__name__ == 'mine'\n"
        "assert pickle.loads(pickle.dumps(reward.compute_score)) is reward.compute_score\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_missing_gold_answer_names_its_row(tmp_path: Path) -> None:
    module = loaded(tmp_path, Member(name="answer_check"))
    for call in (
        lambda: module.score(["p", "p"], [RIGHT, RIGHT], ["2", None]),
        lambda: module.reward_funcs[0](prompts=["p", "p"], completions=[RIGHT, RIGHT], answer=["2", None]),
        lambda: module.reward_func([RIGHT, RIGHT], ["", ""], ["2", None]),
    ):
        with pytest.raises(ValueError, match="that of row 1 of the batch is None"):
            call()


def test_slime_and_areal_get_the_total_of_templated_texts(tmp_path: Path) -> None:
    """The projects' own code is in `real_hosts.py`."""
    module = loaded(tmp_path, Member(name="answer_check"), Member(name="reader", code=READER))
    prompt = "<|im_start|>user\nabc<|im_end|>\n<|im_start|>assistant\n"
    sample = SimpleNamespace(prompt=prompt, response=f"{RIGHT}<|im_end|>", label="2")
    chat = SimpleNamespace(prompt=[{"role": "user", "content": "abc"}], response=RIGHT, label="2")
    assert asyncio.run(module.slime_reward(None, sample)) == 6.0
    assert asyncio.run(module.slime_group_reward(None, [sample, chat])) == [6.0, 6.0]
    assert module.areal_reward(prompt, f"{RIGHT}<|im_end|>", [1], [2], answer="2", other=1) == 6.0


@pytest.mark.parametrize("kind", ["number", "mathematics"])
def test_exported_base_rewards_read_answers_as_ours_do(kind: str, tmp_path: Path) -> None:
    ensemble = Ensemble.model_validate(
        {
            "name": "mine",
            "members": [{"name": "answer_check"}, {"name": "format_exact"}],
            "answer_format": {"reasoning_tag": "think"},
            "answer_kind": kind,
        }
    )
    module = load(export(ensemble, tmp_path / "exported") / "reward.py")
    boxes = ("\\frac{1}{2}", "0.5", "1/2", "50\\%", "\\sqrt{\\frac{1}{4}}", "0.6", "half", "", "1 or 2")
    completions = [f"<think> so </think> \\boxed{{{box}}}" for box in boxes]
    ours = ensemble.score([("p", text, "0.5") for text in completions]).components
    assert module.member_scores(["p"] * len(boxes), completions, ["0.5"] * len(boxes)) == ours
    assert ours["answer_check"][:5] == [3.0] * 5


@pytest.mark.parametrize(
    ("kind", "gold", "right", "wrong"),
    [
        ("choice", "C", ("C", "(c)", "**C**", "C) a tau", "The answer is C."), ("B", "", "tau", "C or D")),
        ("expression", "(10 + 2) * 2", ("2 * (10 + 2)", "2 * (2 + 10) = 24"), ("24", "12 * 2", "10 +", "")),
    ],
)
def test_exported_base_rewards_know_letters_and_expressions(
    kind: str, gold: str, right: tuple[str, ...], wrong: tuple[str, ...], tmp_path: Path
) -> None:
    ensemble = Ensemble.model_validate({"name": "mine", "members": [{"name": "answer_check"}], "answer_kind": kind})
    module = load(export(ensemble, tmp_path / "exported") / "reward.py")
    completions = [f"<thinking> so </thinking> <solution>{text}</solution>" for text in right + wrong]
    ours = ensemble.score([("p", text, gold) for text in completions]).components
    assert module.member_scores(["p"] * len(completions), completions, [gold] * len(completions)) == ours
    assert [score == 3.0 for score in ours["answer_check"]] == [True] * len(right) + [False] * len(wrong)


ASKING = """
def reward(prompt, completion, answer, worked_solution):
    return -1.0 if worked_solution is None else float(worked_solution in completion)
"""


def test_worked_solutions_reach_every_host_or_it_is_refused_by_name(tmp_path: Path) -> None:
    module = loaded(tmp_path, Member(name="asking", code=ASKING), Member(name="answer_check"))
    worked, text = "1 + 1 = 2", RIGHT
    has, lacks = {"worked_solution": worked}, {"worked_solution": None}
    slime = [SimpleNamespace(prompt="p", response=text, label="2", metadata=metadata) for metadata in (has, lacks)]
    trace = SimpleNamespace(last_reply=text)

    def task(**fields: Any) -> SimpleNamespace:
        return SimpleNamespace(prompt="p", answer="2", **fields)

    for given, total in ((has, 4.0), (lacks, 2.0)):
        assert module.reward_funcs[0](["p"], [text], answer=["2"], worked_solution=[given["worked_solution"]]) == [
            total
        ]
        assert module.score(["p"], [text], ["2"], worked_solutions=[given["worked_solution"]]) == [total]
        assert module.compute_score("d", text, "2", given)["score"] == total
        assert module.verifiers_reward("p", text, "2", given) == total
        assert module.verifiers_group_reward(["p"], [text], ["2"], [given]) == [total]
        assert asyncio.run(module.verifiers_task_reward(task(**given), trace)) == total
        assert module.areal_reward("p", text, answer="2", **given) == total
    assert asyncio.run(module.slime_group_reward(None, slime)) == [4.0, 2.0]
    assert [asyncio.run(module.slime_reward(None, sample)) for sample in slime] == [4.0, 2.0]

    refused = pytest.raises(module.UnsuitableHost, match="'asking' of ensemble 'mine' asks for the worked solution")
    calls: list[Callable[[], Any]] = [
        lambda: module.reward_funcs[0](["p"], [text], answer=["2"]),
        lambda: module.score(["p"], [text], ["2"]),
        lambda: module.compute_score("d", text, "2", {}),
        lambda: module.verifiers_reward("p", text, "2", {}),
        lambda: module.verifiers_group_reward(["p"], [text], ["2"]),
        lambda: asyncio.run(module.verifiers_task_reward(task(), trace)),
        lambda: asyncio.run(module.slime_reward(None, SimpleNamespace(prompt="p", response=text, label="2"))),
        lambda: module.areal_reward("p", text, answer="2"),
        lambda: module.reward_func,
    ]
    for call in calls:
        with refused:
            call()
    with pytest.raises(module.UnsuitableHost, match="OpenRLHF's reward_func is passed none"):
        _ = module.reward_func
    readme = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "asked for by `asking`" in readme
    assert "OpenRLHF passes none: refused" in readme


def test_environments_of_skyrl_and_tinker_pass_worked_solutions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-ins for their two base classes; the projects' own code is in `real_hosts.py`."""

    class ProblemEnv:
        def __init__(self, renderer: Any, convo_prefix: Any, format_coef: float) -> None: ...

    skyrl = SimpleNamespace(BaseTextEnv=object, BaseTextEnvStepOutput=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "skyrl_gym.envs.base_text_env", skyrl)
    monkeypatch.setitem(sys.modules, "tinker_cookbook.rl.problem_env", SimpleNamespace(ProblemEnv=ProblemEnv))
    module = loaded(tmp_path, Member(name="asking", code=ASKING))
    extras = {"reward_spec": {"ground_truth": "2"}}
    assert module.skyrl_env(None, {**extras, "worked_solution": "1 + 1 = 2"}).step(RIGHT).reward == 1.0
    assert module.tinker_env(None, "q", "2", worked_solution="1 + 1 = 2").check_answer(RIGHT) == 1.0
    with pytest.raises(module.UnsuitableHost, match="asks for the worked solution"):
        module.skyrl_env(None, extras).step(RIGHT)
    with pytest.raises(module.UnsuitableHost, match="asks for the worked solution"):
        module.tinker_env(None, "q", "2").check_answer(RIGHT)
