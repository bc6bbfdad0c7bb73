"""The few comparisons that answer the report's question, and how many hypotheses have which outcome.

The report's answer and DVC's metrics take both from here, so that they show the same numbers.
"""

import pandas as pd

from stages.shared.inference import verdict as verdicts

# Keys of hypotheses.yaml. A hypothesis that is not declared or did not run is left out of the answer.
GAP, PERMUTED, TAKES = "gap_original", "gap_permuted", "permutation_takes_the_lead"
LOCALITY, SHARING, MORE = "locality", "sharing", "locality_over_sharing"

OUTCOMES = (verdicts.SUPPORTED, verdicts.CONTRADICTED, verdicts.UNDECIDED, verdicts.NOT_STATED, verdicts.NOT_RUN)


def has_run(hypotheses: pd.DataFrame, key: str) -> bool:
    """Whether a hypothesis is declared and was measured. hypotheses: of hypotheses.csv, indexed by hypothesis."""
    return key in hypotheses.index and not pd.isna(hypotheses.loc[key, "n_seeds"])


def outcome_counts(hypotheses: pd.DataFrame) -> dict[str, int]:
    """Outcome → number of hypotheses, for each of OUTCOMES. hypotheses: of hypotheses.csv."""
    return {outcome: int((hypotheses["outcome"] == outcome).sum()) for outcome in OUTCOMES}
