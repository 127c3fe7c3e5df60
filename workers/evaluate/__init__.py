"""Measures a pack on labelled texts, beside what one would use instead. `voxpop eval`."""
