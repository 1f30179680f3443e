"""Which tier answers the next step of an agent."""
