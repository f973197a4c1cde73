"""Stands in for the part of a Koji hub that koji-sweep-db imports; PyPI has the program but not that part."""
