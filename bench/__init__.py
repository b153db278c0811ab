"""Measurements, each beside a reference taken in the same run. Never an assertion."""
