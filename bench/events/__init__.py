"""The update path, from a job file's rename to the row in the database, beside the least that such a path costs."""
