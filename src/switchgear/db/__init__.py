"""What lasts: the ledger's tables, and those of a management API, in SQLite and PostgreSQL.

What a worker loads, with the drivers alone:

connection  plain connections: sqlite3, asyncpg
names       the columns of the ledger's tables
statements  the SQL that the ledger is written with, in both dialects
usage       writing the ledger's tables (usage_sqlite, usage_postgres)
snapshot    reading them with plain SQL
revision    whether the schema is this version's; a process that migrates it where not (`python -m switchgear.db`)

What the command line and that process load, with SQLAlchemy and Alembic:

tables      the ledger's tables
management  tables of what may be declared by an API: organizations, keys, limits, prices
engine      a URL of the configuration -> an engine
migrate     schema versions, behind a lock
"""
