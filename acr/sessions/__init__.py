"""Ordinary sessions of agents: what their hooks noted becomes outcomes."""
