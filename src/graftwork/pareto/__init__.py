"""Accuracy against cost: which runs nothing beats at its price."""
