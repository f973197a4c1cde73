"""Faults on purpose: a farm of real processes, what breaks it, and what must hold afterwards."""
