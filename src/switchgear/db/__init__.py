"""What lasts: SQLAlchemy tables and Alembic migrations over SQLite and PostgreSQL.

engine      a URL of the configuration -> an engine
tables      the ledger's tables
management  tables of what may be declared by an API: organizations, keys, limits, prices
migrate     schema versions, behind a lock
usage       writing and reading the ledger's tables
"""
