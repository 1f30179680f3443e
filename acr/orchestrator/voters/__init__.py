"""What each source of evidence knows about each profile; one voter a file."""
