"""The API beside Ganeti's own remote API: what reads cost, and creates while the queue is busy."""
