"""What the centre knows, in SQLite or PostgreSQL through the same SQLAlchemy Core code."""
