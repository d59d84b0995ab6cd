"""numbered batches, texts that were pruned, and an index for the newest stories."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "corpus_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("pruned_before", sa.Date(), nullable=True),
        sa.Column("pruned_batch", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("id = 1", name="ck_corpus_state_one"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO corpus_state (id, batch, generation) VALUES (1, 0, 0)")
    op.add_column("cluster_members", sa.Column("batch", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index("ix_cluster_members_batch", "cluster_members", ["batch"])
    op.add_column("articles", sa.Column("pruned", sa.String(), nullable=True))
    given_up = sa.text("pruned IS NOT NULL")
    op.create_index("ix_articles_pruned", "articles", ["pruned"], sqlite_where=given_up, postgresql_where=given_up)
    # Without these, every article that is taken away costs a search through all that might refer to it.
    op.create_index("ix_cluster_members_matched_article_id", "cluster_members", ["matched_article_id"])
    op.create_index("ix_copies_matched_article_id", "copies", ["matched_article_id"])
    op.create_index("ix_clusters_canonical_article_id", "clusters", ["canonical_article_id"])
    # A view keeps the columns that its table had when it was made.
    op.execute("DROP VIEW canonical_articles")
    op.execute(
        "CREATE VIEW canonical_articles AS SELECT a.* FROM articles a "
        "WHERE NOT EXISTS (SELECT 1 FROM copies c WHERE c.article_id = a.id)"
    )
    # For the view `stories`; where NULLs come in an index has to be said to PostgreSQL, and must not be to SQLite.
    nulls_last = "NULLS LAST" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(
        f"CREATE INDEX ix_clusters_stories ON clusters (last_published_at DESC {nulls_last}, id DESC) "
        "WHERE status <> 'merged' AND n_articles >= 2"
    )
