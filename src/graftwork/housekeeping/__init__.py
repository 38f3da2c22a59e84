"""What the store holds, and what of it may go."""
