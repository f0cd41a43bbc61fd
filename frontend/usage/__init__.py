"""What projects have used: spans of time, written as Ganeti tells of them, and what follows from these."""
