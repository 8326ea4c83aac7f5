"""Repeated attempts that stop once a scenario is decided (``--repeat N --stop-early``).

A scenario passes by the majority of its attempts, so attempts that can no longer change the majority
are not made: the verdict is that of all N, whatever they would have been. (Trials call it non-stochastic
curtailment, the special case without chance in M. Law et al., doi:10.1080/10543406.2021.2009498.) How many
attempts a scenario gets then depends on how it does, so rates over attempts count only those that
every scenario makes.
"""

from __future__ import annotations


def certain_attempts(repeat: int) -> int:
    """The fewest attempts that can decide a majority of ``repeat``; every scenario makes these."""
    return (repeat + 1) // 2


def decided(passes: int, fails: int, left: int) -> bool:
    """Whether ``left`` more attempts can no longer change the majority, half being no majority.

    Holds too if some of those left come to be infra and count for nothing.
    """
    return passes > fails + left or fails >= passes + left
