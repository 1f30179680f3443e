"""Lines that no agent should print, and some day one does."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def mutated(lines: list[str]) -> st.SearchStrategy[str]:
    """A real line in which some value, at any depth, was replaced by any JSON."""

    @st.composite
    def line(draw: st.DrawFn) -> str:
        data = json.loads(draw(st.sampled_from(lines)))
        place: Any = data
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(list(keys)))
            below = place[key]
            if not below or not isinstance(below, (dict, list)) or draw(st.booleans()):
                place[key] = draw(JSON)
                return json.dumps(data)
            place = below

    return line() | JSON.map(json.dumps) | st.text(max_size=30) | st.just("[" * 100_000)
