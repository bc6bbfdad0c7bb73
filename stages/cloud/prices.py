"""What AWS charges: a table that was typed in by hand and is never checked against AWS. An estimate, not a bill.

docs/sagemaker.md says how to update it.
"""

from dataclasses import dataclass

from stages.shared.stage_command import StageError

AS_OF = "2025-06, us-east-1, on demand"
SERVERLESS_USD_PER_GB_SECOND = (
    0.00002  # of inference, as of the same date; requests and data in and out are charged on top
)
SPOT_SHARE = 0.4  # of the price on demand that spot usually costs; AWS says up to 90 % less


@dataclass(frozen=True)
class Instance:
    """usd_per_hour: of training and of hosting alike. cores: physical ones, half of the vCPUs."""

    usd_per_hour: float
    cores: int


INSTANCES = {
    "ml.m5.large": Instance(0.115, 1),
    "ml.m5.xlarge": Instance(0.23, 2),
    "ml.m5.2xlarge": Instance(0.461, 4),
    "ml.m5.4xlarge": Instance(0.922, 8),
    "ml.c5.xlarge": Instance(0.204, 2),
    "ml.c5.2xlarge": Instance(0.408, 4),
    "ml.c5.4xlarge": Instance(0.816, 8),
    "ml.c5.9xlarge": Instance(1.836, 18),
    "ml.g4dn.xlarge": Instance(0.736, 2),
}


def usd_per_hour(instance_type: str, override: float | None = None) -> float:
    """The price of an instance. override: price_per_hour in compute.yaml.

    Raises StageError for a type that the table does not have, if there is no override.
    """
    if override is not None:
        return override
    if instance_type not in INSTANCES:
        raise StageError(
            f"no price is known for {instance_type} (known: {', '.join(INSTANCES)}); "
            "set sagemaker.price_per_hour in compute.yaml"
        )
    return INSTANCES[instance_type].usd_per_hour
