"""What Alembic runs for every command: on the connection that `db.migrate` gives it, in its transaction."""

from alembic import context

from switchgear.db import management  # noqa: F401 - its tables are part of the metadata
from switchgear.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's too: the connection begins its transactions itself
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
