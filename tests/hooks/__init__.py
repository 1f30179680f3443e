"""The script that agents execute."""
