"""Which row of a batch decodes which prompt, while rows end and leave."""

from __future__ import annotations

from collections.abc import Sequence


class DecodingRows:
    """The rows of a batch that is being decoded: as many for every adapter, side by side, idle ones among them.

    A row is idle when its prompt is completed, or when its adapter had fewer prompts than another.
    """

    def __init__(self, adapter_of_prompt: Sequence[int]) -> None:
        prompts_of: dict[int, list[int | None]] = {}
        for prompt, adapter in enumerate(adapter_of_prompt):
            prompts_of.setdefault(adapter, []).append(prompt)
        most = max(map(len, prompts_of.values()))
        self.adapters = sorted(prompts_of)
        """The adapters that still decode, ascending."""
        self.prompts: list[int | None] = [
            prompt
            for adapter in self.adapters
            for prompt in [*prompts_of[adapter], *[None] * (most - len(prompts_of[adapter]))]
        ]
        """The prompt of each row; None: an idle row."""

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def share(self) -> int:
        """Rows of each adapter."""
        return len(self.prompts) // len(self.adapters)

    @property
    def adapter_of_row(self) -> list[int]:
        return [adapter for adapter in self.adapters for _ in range(self.share)]

    @property
    def going(self) -> bool:
        """Some row is still decoding."""
        return any(prompt is not None for prompt in self.prompts)

    def filled(self, prompts: Sequence[Sequence[int]]) -> list[tuple[int, tuple[int, ...]]]:
        """Adapter and prompt of each row; an idle row has a prompt of its adapter's, so that it does no harm."""
        some = {a: p for p, a in zip(self.prompts, self.adapter_of_row, strict=True) if p is not None}
        return [
            (adapter, tuple(prompts[some[adapter] if prompt is None else prompt]))
            for prompt, adapter in zip(self.prompts, self.adapter_of_row, strict=True)
        ]

    def end(self, ended: Sequence[bool]) -> None:
        """Marks rows as idle."""
        self.prompts = [None if over else prompt for prompt, over in zip(self.prompts, ended, strict=True)]

    def compact(self, idle_share: float) -> list[int] | None:
        """Drops idle rows if at least that share of the batch goes. Returns the rows kept, in their order, or None."""
        share = self.share
        going = {
            adapter: [row for row in range(place * share, (place + 1) * share) if self.prompts[row] is not None]
            for place, adapter in enumerate(self.adapters)
        }
        going = {adapter: rows for adapter, rows in going.items() if rows}
        most = max(map(len, going.values()))
        if most * len(going) > (1 - idle_share) * len(self.prompts):
            return None
        kept: list[int] = []
        prompts: list[int | None] = []
        for rows in going.values():
            idle = most - len(rows)
            # An idle row repeats one of its adapter's, so that what it computes is as harmless as that.
            kept += [*rows, *[rows[0]] * idle]
            prompts += [*(self.prompts[row] for row in rows), *[None] * idle]
        self.adapters, self.prompts = list(going), prompts
        return kept
