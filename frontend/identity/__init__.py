"""Identity v3: who somebody is, and what he may do where."""
