"""What dataclasses inherit that a report holds."""

from typing import ClassVar


class Extensible:
    """Base of dataclasses whose values a report keeps together with the fields that only a later version knows.

    pydantic reads the configuration when it loads one from a report: unknown fields go into ``__dict__``, and no number
    is infinite. These dataclasses have no slots, because with slots pydantic sets attribute by attribute, and a file
    may name one ``__class__``. Our own constructors take known fields only.
    """

    __pydantic_config__: ClassVar = {
        "extra": "allow",
        "allow_inf_nan": False,
        "use_attribute_docstrings": True,
    }
