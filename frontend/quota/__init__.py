"""What projects may have, and what is set apart for them before it is there."""
