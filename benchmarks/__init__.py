"""Commands that measure. Ratios against a reference in the same run; medians of several."""
