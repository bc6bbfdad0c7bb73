"""The kinds of values that params.yaml and hypotheses.yaml have, and what all their blocks share."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

# The upper limits lie beyond anything that could be run. They catch a slip of the finger that asks for terabytes.
Positive = Annotated[int, Field(ge=1, le=10**9)]
Natural = Annotated[int, Field(ge=0)]
Few = Annotated[int, Field(ge=1, le=1000)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, lt=1)]  # like a fraction, and 0 for none


def or_else(allowed: str) -> WrapValidator:
    """One sentence about a union, in place of pydantic's error for each of its branches."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("value", "should be {allowed}", {"allowed": allowed}) from None

    return WrapValidator(check)


# Strict(False): a WrapValidator passes Python's list on, which a strict tuple refuses.
Pair = Annotated[
    Few | Annotated[tuple[Few, Few], Strict(False)],
    or_else("a whole number from 1 up to 1000, or [height, width] of two such"),
]
Widths = Annotated[tuple[Positive, ...], Field(max_length=1000)]
Size = Annotated[Positive | Literal["all"], or_else("a whole number from 1 up, or all")]
OwnSize = Annotated[Positive | Literal["protocol"], or_else("a whole number from 1 up, or protocol")]
Layout = Annotated[
    Annotated[str, Field(pattern=r"^(original|permuted|(patches|scattered)_[1-9][0-9]{0,2})$")],
    or_else("original, permuted, patches_ and a side (patches_4), or scattered_ and a reach (scattered_6), in pixels"),
]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$", max_length=40)]
Text = Annotated[str, Field(min_length=1)]
Quantity = Literal["parameters", "macs", "receptive_field"]


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
