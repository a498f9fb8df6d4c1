"""One form for texts that are written differently: simplified for traditional characters, half width for full width.

A text keeps its length, so that a place in the folded text is the same place in the text as it was written.
"""

from __future__ import annotations

import re
from typing import Final

from huiyin_analyzer.model.traditional import PAIRS

_HALF: Final = {chr(code): chr(code - 0xFEE0) for code in range(0xFF10, 0xFF5B) if chr(code - 0xFEE0).isalnum()}
"""Letters and digits alone: Chinese punctuation is of full width, and says where a sentence ends."""
_FOLDED: Final = str.maketrans({**dict(zip(PAIRS[::2], PAIRS[1::2], strict=True)), **_HALF})
# Most texts hold none of these characters: looking for the first is much cheaper than translating.
_UNFOLDED: Final = re.compile(f"[{''.join(map(chr, _FOLDED))}]")


def fold(text: str) -> str:
    """The text in simplified characters, its letters and digits in half width; of the same length."""
    return text.translate(_FOLDED) if _UNFOLDED.search(text) else text
