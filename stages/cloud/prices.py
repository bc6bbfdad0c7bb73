"""What AWS charges: from AWS's price list, or from a table that was typed in by hand. An estimate, not a bill.

docs/sagemaker.md says how to update the table.
"""

import re
from dataclasses import dataclass
from datetime import date

from stages.cloud import price_list
from stages.cloud.account import region
from stages.cloud.price_list import TRAINING

AS_OF = date(2025, 6, 1)  # of the whole table; the day is not known
REGION = "us-east-1"
SERVERLESS_USD_PER_GB_SECOND = (
    0.00002  # of inference, as of the same date; requests and data in and out are charged on top
)
SPOT_SHARE = 0.4  # of the price on demand that spot usually costs; AWS says up to 90 % less
# Instance type → US dollars an hour, of training and of hosting alike.
USD_PER_HOUR = {
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.c5.9xlarge": 1.836,
    "ml.g4dn.xlarge": 0.736,
}
VCPUS = {"medium": 2, "large": 2, "xlarge": 4}  # of the sizes that have no number; 2xlarge has 2 × 4


@dataclass(frozen=True)
class Price:
    """usd_per_hour: None where it is not known. source: where it comes from and how old it is, in words."""

    usd_per_hour: float | None
    source: str

    def of(self, seconds: float) -> float | None:
        """US dollars for so many seconds."""
        return None if self.usd_per_hour is None else seconds / 3600 * self.usd_per_hour


def price(instance_type: str, override: float | None = None, usage: str = TRAINING) -> Price:
    """The price of an instance: the override, else AWS's price list in the region, else the table.

    override: price_per_hour in compute.yaml. usage: one of price_list. Asks AWS once in a process.
    """
    if override is not None:
        return Price(override, "price_per_hour in compute.yaml")
    listed = price_list.listed_price(instance_type, usage)
    if listed is not None:
        return Price(listed.usd_per_hour, f"AWS's price list of {listed.date}, {region()}, on demand")
    return table_price(instance_type)


def table_price(instance_type: str) -> Price:
    """The price of an instance in the table, which asks nobody."""
    if instance_type not in USD_PER_HOUR:
        return Price(
            None, f"{instance_type} is not in the project's table of prices; sagemaker.price_per_hour sets its price"
        )
    return Price(USD_PER_HOUR[instance_type], source())


def source(today: date | None = None) -> str:
    """Where the table's prices hold, and how old they are: belongs into every line that names one of them."""
    today = today or date.today()
    months = 12 * (today.year - AS_OF.year) + today.month - AS_OF.month
    return f"table of {AS_OF:%Y-%m}, {months} months old, {REGION}, on demand"


def in_words(usd: float | None, digits: int = 2) -> str:
    return "an unknown number of US dollars" if usd is None else f"{usd:.{digits}f} US dollars"


def cores(instance_type: str) -> int:
    """Physical cores: half of the vCPUs, which the name of an x86 type gives. At least 1."""
    size = instance_type.rpartition(".")[2]
    numbered = re.fullmatch(r"(\d+)xlarge", size)
    vcpus = 4 * int(numbered[1]) if numbered else VCPUS.get(size, 2)
    return max(1, vcpus // 2)
