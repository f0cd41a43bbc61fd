"""What all services share of HTTP: requests read, lists ordered and paged, faults told, routes described."""
