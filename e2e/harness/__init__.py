"""What the end-to-end stories and the demonstration share. Standard library only."""
