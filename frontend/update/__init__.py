"""The update path: from messages about jobs to rows, each message once."""
