"""What a network costs before it is run, and while it runs."""
