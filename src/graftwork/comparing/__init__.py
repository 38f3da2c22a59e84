"""Finished runs held against each other, picture by picture."""
