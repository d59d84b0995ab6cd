"""Runs the migrations on the database of the program."""

from alembic import context

from ingestd.store.database import Database
from ingestd.store.tables import Base

database: Database = context.config.attributes["database"]
with database.begin_write() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=database.is_sqlite)
    context.run_migrations()
