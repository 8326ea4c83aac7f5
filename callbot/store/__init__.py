"""The database: businesses with every version, calls, leads."""
