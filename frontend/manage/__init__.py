"""ganeti-ext-manage, the administrator's command."""
