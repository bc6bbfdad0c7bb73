"""Write the result tables, one by one: the folder also holds what git keeps."""

import pandas as pd

from stages import paths
from stages.collect.tables import DIGITS


def write(tables: dict[str, pd.DataFrame]) -> None:
    for name, table in tables.items():
        with paths.whole_file(paths.RESULTS / name) as partial:
            table.to_csv(partial, index=False, float_format=f"%.{DIGITS}f", lineterminator="\n")
    paths.write_json(paths.RESULTS / "metrics.json", metrics(tables["variants.csv"]))


def metrics(variants: pd.DataFrame) -> dict[str, dict[str, float]]:
    """DVC's metrics: variant → accuracy, difference from the baseline, shift consistency; what is unknown is left out."""
    columns = {"accuracy": "accuracy_mean", "difference": "difference", "shift_consistency": "shift_consistency_mean"}
    return {
        str(row["variant"]): {name: round(float(row[column]), DIGITS) for name, column in columns.items() if pd.notna(row[column])}
        for row in variants.to_dict("records")
    }
