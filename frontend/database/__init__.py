"""The front's database: its tables, their versions, how it is opened."""
