"""Engines that run a frozen backbone, and the choice among them."""
