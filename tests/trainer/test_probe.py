"""What is measured of this machine is possible, and leaves nothing changed."""

from __future__ import annotations

import torch

from trainer.jobs.settings import Hardware
from trainer.probe import probe


def test_a_probe_finds_rates_that_a_machine_can_have_and_changes_nothing() -> None:
    before = torch.get_num_threads(), torch.random.get_rng_state()
    here = probe(Hardware(device="cpu", threads=1))
    assert (torch.get_num_threads(), torch.equal(torch.random.get_rng_state(), before[1])) == (before[0], True)
    assert here.name == "here"
    # From a loaded core of an old machine to the fastest that are sold.
    assert 1e7 < here.bandwidth < 1e12
    assert 1e8 < here.rate < 1e13
    # A decoder's operation goes through several layers of Python: no shorter than a tenth of a microsecond.
    assert 1e-7 < here.launch < 1e-2
