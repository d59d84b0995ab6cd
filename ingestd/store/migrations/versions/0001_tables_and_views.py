"""tables and views."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

VIEWS = (
    """CREATE VIEW canonical_articles AS
    SELECT a.* FROM articles a
    WHERE NOT EXISTS (SELECT 1 FROM copies c WHERE c.article_id = a.id)""",
    """CREATE VIEW stories AS
    SELECT * FROM clusters
    WHERE status <> 'merged' AND n_articles >= 2
    ORDER BY last_published_at DESC NULLS LAST, id DESC""",
    """CREATE VIEW coverage AS
    SELECT m.cluster_id, m.article_id, a.outlet, a.title, a.url, a.published_at, m.relation, m.score,
           m.article_id = c.canonical_article_id AS is_canonical,
           row_number() OVER (PARTITION BY m.cluster_id ORDER BY a.published_at ASC NULLS LAST, a.id) AS nth_to_publish
    FROM cluster_members m
    JOIN articles a ON a.id = m.article_id
    JOIN clusters c ON c.id = m.cluster_id""",
    """CREATE VIEW cluster_resolve AS
    SELECT id, COALESCE(merged_into, id) AS live_id FROM clusters""",
)


def upgrade() -> None:
    op.create_table(
        "source_files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("path_bytes", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("n_articles", sa.Integer(), nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=True),
        sa.Column("archived_as", sa.String(), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_source_files_path", "source_files", ["root", "path_bytes"], unique=False)
    op.create_index("ix_source_files_sha256", "source_files", ["sha256"], unique=False)
    op.create_index("ix_source_files_state", "source_files", ["state", "id"], unique=False)
    op.create_index(
        "uq_source_files_unfinished",
        "source_files",
        ["root", "path_bytes"],
        unique=True,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )

    op.create_table(
        "articles",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("url_canonical", sa.String(), nullable=True),
        sa.Column("outlet", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("authors", sa.JSON(), nullable=False),
        sa.Column("lang", sa.String(), nullable=True),
        sa.Column("lang_confidence", sa.Double(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_source", sa.String(), nullable=True),
        sa.Column("published_precision", sa.String(), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("n_words", sa.Integer(), nullable=False),
        sa.Column("text_sha256", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("source_file_id", sa.Integer(), nullable=False),
        sa.Column("record_no", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_file_id"],
            ["source_files.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_articles_day", "articles", ["day", "id"], unique=False)
    op.create_index("ix_articles_outlet", "articles", ["outlet", "id"], unique=False)
    op.create_index("ix_articles_external_id", "articles", ["external_id"], unique=False)
    op.create_index("ix_articles_published_at", "articles", ["published_at"], unique=False)
    op.create_index("ix_articles_source_file_id", "articles", ["source_file_id"], unique=False)
    op.create_index("ix_articles_text_sha256", "articles", ["text_sha256"], unique=False)
    op.create_index("uq_articles_url_canonical", "articles", ["url_canonical"], unique=True)

    op.create_index(
        "uq_articles_external_id",
        "articles",
        [sa.text("coalesce(outlet, '')"), "external_id"],
        unique=True,
        sqlite_where=sa.text("url_canonical IS NULL AND external_id IS NOT NULL"),
        postgresql_where=sa.text("url_canonical IS NULL AND external_id IS NOT NULL"),
    )
    op.create_table(
        "rejected_records",
        sa.Column("source_file_id", sa.Integer(), nullable=False),
        sa.Column("record_no", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["source_file_id"],
            ["source_files.id"],
        ),
        sa.PrimaryKeyConstraint("source_file_id", "record_no"),
    )
    op.create_table(
        "article_revisions",
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("text_sha256", sa.String(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_file_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["articles.id"],
        ),
        sa.ForeignKeyConstraint(
            ["source_file_id"],
            ["source_files.id"],
        ),
        sa.PrimaryKeyConstraint("article_id", "revision"),
    )
    op.create_table(
        "clusters",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("merged_into", sa.Integer(), nullable=True),
        sa.Column("canonical_article_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("lang", sa.String(), nullable=True),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("n_articles", sa.Integer(), nullable=False),
        sa.Column("n_originals", sa.Integer(), nullable=False),
        sa.Column("n_outlets", sa.Integer(), nullable=False),
        sa.Column("first_published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(status = 'merged') = (merged_into IS NOT NULL)", name="ck_clusters_merged"),
        sa.ForeignKeyConstraint(
            ["canonical_article_id"],
            ["articles.id"],
        ),
        sa.ForeignKeyConstraint(
            ["merged_into"],
            ["clusters.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_clusters_merged_into", "clusters", ["merged_into"], unique=False)
    op.create_index("ix_clusters_status", "clusters", ["status", "last_published_at"], unique=False)

    op.create_table(
        "copies",
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("canonical_article_id", sa.Integer(), nullable=False),
        sa.Column("matched_article_id", sa.Integer(), nullable=False),
        sa.Column("relation", sa.String(), nullable=False),
        sa.Column("jaccard", sa.Double(), nullable=False),
        sa.Column("containment", sa.Double(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.CheckConstraint("article_id <> canonical_article_id", name="ck_copies_other"),
        sa.CheckConstraint("containment BETWEEN 0 AND 1", name="ck_copies_containment"),
        sa.CheckConstraint("jaccard BETWEEN 0 AND 1", name="ck_copies_jaccard"),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["articles.id"],
        ),
        sa.ForeignKeyConstraint(
            ["canonical_article_id"],
            ["articles.id"],
        ),
        sa.ForeignKeyConstraint(
            ["matched_article_id"],
            ["articles.id"],
        ),
        sa.PrimaryKeyConstraint("article_id"),
    )
    op.create_index("ix_copies_canonical_article_id", "copies", ["canonical_article_id"], unique=False)

    op.create_table(
        "signatures",
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["articles.id"],
        ),
        sa.PrimaryKeyConstraint("article_id", "kind"),
    )
    op.create_table(
        "cluster_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("other_cluster_id", sa.Integer(), nullable=True),
        sa.Column("article_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["articles.id"],
        ),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["clusters.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_cluster_log_article_id", "cluster_log", ["article_id"], unique=False)
    op.create_index("ix_cluster_log_cluster_id", "cluster_log", ["cluster_id"], unique=False)

    op.create_table(
        "cluster_members",
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("cluster_id", sa.Integer(), nullable=False),
        sa.Column("relation", sa.String(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("matched_article_id", sa.Integer(), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("score BETWEEN 0 AND 1", name="ck_cluster_members_score"),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["articles.id"],
        ),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["clusters.id"],
        ),
        sa.ForeignKeyConstraint(
            ["matched_article_id"],
            ["articles.id"],
        ),
        sa.PrimaryKeyConstraint("article_id"),
    )
    op.create_index("ix_cluster_members_cluster_id", "cluster_members", ["cluster_id"], unique=False)
    for view in VIEWS:
        op.execute(view)
