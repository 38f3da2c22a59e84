"""Generators of hostile files, each with what must become of it: tests/faults/test_attacks.py.

Programs, never the files themselves: nothing here can hurt by lying about. What an attack would run
makes a file, the canary, whose place the environment names; nobody has ever seen it.
"""
