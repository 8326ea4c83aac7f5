"""What models cost: the price table of ``callbot.toml``. None is shipped, for prices change.

currency = "USD"
[prices."openai:gpt-6-luna"]        # as --model names it; per million tokens
input = 0.25
cached_input = 0.025                # else as input
output = 2.0
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MILLION = 1_000_000


class Price(BaseModel):
    """Per million tokens, in the currency of the settings. ``cached_input`` None: as ``input``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached_input: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def of(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """What these tokens cost. ``cached_tokens`` are among the input tokens."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = input_tokens - cached_tokens
        return (fresh * self.input + cached_tokens * cached + output_tokens * self.output) / MILLION
