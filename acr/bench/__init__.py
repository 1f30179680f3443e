"""Replays: what routers would have chosen on recorded outcomes, and what that would have earned."""
