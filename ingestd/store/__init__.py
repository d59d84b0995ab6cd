"""The database: tables, ledger, articles and questions. Rows stay in here; everyone else gets frozen values."""
