#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The statistics of the benchmark: medians, and ratios with a bootstrap interval.

Numbers in, numbers out: nothing here knows what was measured. Every figure that is judged is a
cost (CPU time, response time, memory) unless the caller says that more is better.
"""
import collections
import random
import statistics

RESAMPLES = 4000
SEED = 1
CONFIDENCE = 0.95
ROUNDS_MIN = 4  # fewer rounds have a ratio, but no interval

# low and high are None when there were too few rounds to say.
Ratio = collections.namedtuple("Ratio", "ratio low high rounds")


def median(values):
    return statistics.median(values)


def spread(values):
    """Median, least and greatest."""
    return statistics.median(values), min(values), max(values)


def percentile(ordered, share):
    """Of an ordered list, between neighbours in proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def interval(estimates):
    """What lies between holds CONFIDENCE of the estimates."""
    ordered = sorted(estimates)
    off = (1 - CONFIDENCE) / 2
    return percentile(ordered, off), percentile(ordered, 1 - off)


def paired_ratio(ours, theirs):
    """The median of ours/theirs round by round; whole rounds are drawn again with replacement."""
    ratios = [a / b for a, b in zip(ours, theirs) if a > 0 and b > 0]
    if not ratios:
        return None
    if len(ratios) < ROUNDS_MIN:
        return Ratio(median(ratios), None, None, len(ratios))
    draw = random.Random(SEED)
    low, high = interval(median(draw.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return Ratio(median(ratios), low, high, len(ratios))


def unpaired_ratio(ours, theirs):
    """The ratio of the medians of two runs at different times: each is drawn on its own."""
    ours = [a for a in ours if a > 0]
    theirs = [b for b in theirs if b > 0]
    if not ours or not theirs:
        return None
    ratio = median(ours) / median(theirs)
    rounds = min(len(ours), len(theirs))
    if rounds < ROUNDS_MIN:
        return Ratio(ratio, None, None, rounds)
    draw = random.Random(SEED)
    low, high = interval(median(draw.choices(ours, k=len(ours))) /
                         median(draw.choices(theirs, k=len(theirs))) for _ in range(RESAMPLES))
    return Ratio(ratio, low, high, rounds)


def judge(ratio, least=0.0, more_is_better=False):
    """'better' or 'worse' when the interval excludes 1 and the ratio is off by `least` or more;
    'same' otherwise, '' when there is no interval."""
    if ratio is None or ratio.low is None:
        return ""
    if ratio.low <= 1 <= ratio.high or abs(ratio.ratio - 1) < least:
        return "same"
    return "better" if (ratio.ratio > 1) == more_is_better else "worse"
