"""What the parts of ganeti-ext share. Standard library only."""

__version__ = "0.1.0"
