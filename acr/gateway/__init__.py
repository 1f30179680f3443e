"""A local gateway between agents and providers: each model call goes to the tier it needs."""
