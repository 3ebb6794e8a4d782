import json

import pytest
from pydantic import ValidationError

from service.models import Metadata, Tag

LOADED = json.dumps({"container": "mp4", "duration": 1.0, "bit_rate": None, "streams": []})


def test_values_with_the_same_fields_share_the_set_of_them() -> None:
    first, second = (Metadata.model_validate_json(LOADED) for _ in range(2))
    assert first.model_fields_set is second.model_fields_set
    assert first.model_fields_set == {"container", "duration", "bit_rate", "streams"}
    assert Tag(name="a", text="b").model_fields_set is Tag(name="c", text="d").model_fields_set


def test_a_copy_with_changes_does_not_change_the_shared_set() -> None:
    first = Metadata.model_validate_json(LOADED)
    changed = first.model_copy(update={"title": "other"})
    assert changed.model_fields_set == {*first.model_fields_set, "title"}
    assert first.model_fields_set == {"container", "duration", "bit_rate", "streams"}
    with pytest.raises(ValidationError):
        first.title = "other"
