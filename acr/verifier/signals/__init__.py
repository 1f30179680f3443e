"""Pieces of evidence about an attempt; one signal a file."""
