"""What the update path missed: the database compared with Ganeti, and mended."""
