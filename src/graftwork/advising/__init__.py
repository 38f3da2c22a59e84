"""What to do next: more labels, or another strategy?"""
