"""Spans, sizes and text as people write and read them."""
