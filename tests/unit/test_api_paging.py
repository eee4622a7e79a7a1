"""Cursors: opaque, checked, and of one list's places only."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.api.paging import read_cursor, write_cursor
from pipeline.db.paging import Place
from pipeline.errors import InvalidCursor


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_leads_back_to_its_place(at: datetime, row_id: UUID) -> None:
    """Every moment and every id survive."""
    place = Place(at, row_id)

    assert read_cursor(write_cursor(place)) == place


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    """Nothing that was not given out is taken, and nothing breaks."""
    with pytest.raises(InvalidCursor):
        read_cursor(text)


def test_a_changed_cursor_is_refused() -> None:
    """One character more, less or other is not a cursor."""
    cursor = write_cursor(Place(datetime(2026, 3, 1, tzinfo=UTC), uuid4()))
    other = "A" if cursor[0] != "A" else "B"

    for changed in (other + cursor[1:], cursor[:-4], cursor + "AAAA"):
        with pytest.raises(InvalidCursor):
            read_cursor(changed)
