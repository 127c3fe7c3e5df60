"""Alerts, the pure part: windows over event time, tests against a product's own past, and the life of an alert."""
