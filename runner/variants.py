"""The files that a model may have beside each other; the standard library only, because workers need it."""

REFERENCE_VARIANT = "fp32"
"""the file that PyTorch's network was exported to, and that all others are made from"""

VARIANTS = (REFERENCE_VARIANT, "fp16", "int8-static", "int8-dynamic")
"""in the order of the words in help and docs"""
