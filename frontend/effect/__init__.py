"""The effect path: from a call that may be done to jobs of Ganeti, submitted once."""
