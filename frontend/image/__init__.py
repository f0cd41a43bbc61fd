"""Image v2, and the imports that tenants asked for."""
