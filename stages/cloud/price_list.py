"""AWS's own price list, which the user's account may ask for an instance's price (right pricing:GetProducts)."""

import json
import re
from dataclasses import dataclass
from functools import cache

from stages.cloud.account import aws_errors_in_words, client, region
from stages.shared.stage_command import StageError

SERVICE = "AmazonSageMaker"
TRAINING, HOSTING, TRANSFORM = (
    "Train",
    "Host",
    "Tsform",
)  # in usage types, such as EUC1-Train:ml.c5.xlarge


@dataclass(frozen=True)
class ListedPrice:
    """usd_per_hour: on demand, in the region of AWS_REGION. date: on which AWS published the list."""

    usd_per_hour: float
    date: str


@cache
def listed_price(instance_type: str, usage: str) -> ListedPrice | None:
    """The price of an instance for one of the uses above. None, after a line that says why, where it cannot be read.

    AWS is asked once for each in a process, and only where the credentials allow it.
    """
    try:
        return _ask(instance_type, usage)
    except StageError as error:
        print(f"AWS's price list has not told what {instance_type} costs: {error}", flush=True)
        return None


def _ask(instance_type: str, usage: str) -> ListedPrice:
    named = f"{usage}:{instance_type}"
    filters = {("TERM_MATCH", "regionCode"): region(), ("CONTAINS", "usagetype"): named}
    with aws_errors_in_words():
        answer = client("pricing").get_products(
            ServiceCode=SERVICE,
            Filters=[{"Type": kind, "Field": field, "Value": value} for (kind, field), value in filters.items()],
            FormatVersion="aws_v1",
        )
    listed_prices = set()
    try:
        for entry in map(json.loads, answer["PriceList"]):
            if not re.fullmatch(rf"(.+-)?{re.escape(named)}", entry["product"]["attributes"]["usagetype"]):
                continue  # of another type whose name begins alike, or of another use
            offers = entry["terms"].get("OnDemand", {}).values()
            dimensions = [dimension for offer in offers for dimension in offer["priceDimensions"].values()]
            rates = [float(dimension["pricePerUnit"].get("USD", 0)) for dimension in dimensions]
            listed_prices |= {ListedPrice(rate, entry["publicationDate"][:10]) for rate in rates if rate > 0}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StageError(f"its entry cannot be read ({type(error).__name__}: {error})") from None
    if len(listed_prices) != 1:
        rates_found = ", ".join(
            str(price.usd_per_hour) for price in sorted(listed_prices, key=lambda price: price.usd_per_hour)
        )
        raise StageError(f"{region()} has {len(listed_prices)} prices in US dollars for {named} {rates_found}".rstrip())
    return listed_prices.pop()
