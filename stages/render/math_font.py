"""The font of the page's formulas, cut to the characters of formulas and embedded in a stylesheet.

A bare Linux has no font with a MATH table. Sums and bars collapse there, set in a font of text.
The font is STIX Two Math, under the SIL Open Font License, as the package ziamath ships it.
"""

import base64
import io
from functools import cache
from importlib.metadata import distribution

from fontTools import subset

# Unicode: Basic Latin, Greek, mathematical italic letters, operators, fences, accents, arrows.
RANGES = ((0x20, 0x7E), (0x391, 0x3C9), (0x1D434, 0x1D49B), (0x1D6E2, 0x1D71B))
SINGLE = "ϕϵℎ∂∇∈∉∏∑−∗∘√∞∫∼≈≠≡≤≥⋅⋯…⌈⌉⌊⌋⟨⟩|‖±×·′‾¯→↦←\u0302\u0303\u0304\u0305\u0307\u20d7\u23b4"
NAME = "Report Mathematics"


@cache
def css() -> str:
    """A stylesheet that sets formulas in the font; its bytes depend on the installed packages alone."""
    data = base64.b64encode(woff()).decode()
    face = f'@font-face {{ font-family: "{NAME}"; src: url(data:font/woff;base64,{data}) format("woff"); }}'
    return f'{face}\nmath {{ font-family: "{NAME}", math; }}\n'


def woff() -> bytes:
    """The font with the characters above and all sizes that formulas need of them."""
    options = subset.Options()
    options.flavor, options.hinting, options.glyph_names = "woff", False, False
    options.layout_features = ["ssty", "dtls"]  # letters of other shape in exponents, and without a dot below an accent
    characters = {code for first, last in RANGES for code in range(first, last + 1)} | set(map(ord, SINGLE))
    file = distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf")  # the package is not imported
    written = io.BytesIO()
    with subset.load_font(str(file), options) as font:
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=characters)
        subsetter.subset(font)
        font.save(written)
    return written.getvalue()
