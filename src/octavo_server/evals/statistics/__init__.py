"""The statistics that gates, comparisons and rollouts stand on: pure functions over numbers and counts.

Each names its source. Arrays are one-dimensional unless said otherwise; proportions are fractions, never per cent;
`confidence` is two-sided (0.95), `alpha` is the risk of a false alarm. Input that cannot be meant (negative counts,
NaN, unequal lengths) raises `Invalid`: a number that is wrong is worse than none. Randomness comes in as a seed.
"""
