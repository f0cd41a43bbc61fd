"""A thousand networks and thousands of ports: what the API costs, beside the least that would give the same answers."""
