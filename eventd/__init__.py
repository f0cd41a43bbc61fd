"""The daemon that tells the front what Ganeti's jobs and hooks did."""
