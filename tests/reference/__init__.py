"""Plain-Python twins of the compiled modules: slow, obvious, and the oracles of the differential tests."""
