"""Where untrusted tests run; one engine a file."""
