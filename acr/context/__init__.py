"""What is asked, and where."""
