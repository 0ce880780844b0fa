"""Checks a bundle: recomputes what its tables, paragraph and appendix say from the counts in it.

Written apart from `harness.significance`, so that neither confirms its own mistakes, and copied into every bundle
beside `verify.py`: only the standard library and numpy are imported here, and modules import each other by relative
names.
"""
