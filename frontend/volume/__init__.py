"""Block Storage v3: volumes, their snapshots, types and transfers."""
