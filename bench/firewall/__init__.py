"""Interface scripts and firewall of one node with many taps, beside what an administrator would have instead."""
