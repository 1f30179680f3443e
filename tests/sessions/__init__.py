"""What becomes of notes about ordinary sessions."""
