"""First tables: businesses and their versions, calls, events, leads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "businesses",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("active_version", sa.Integer),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_businesses"),
    )
    op.create_table(
        "business_versions",
        sa.Column("business_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("yaml", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("business_id", "version", name="pk_business_versions"),
        sa.UniqueConstraint("business_id", "sha256", name="uq_business_versions_business_id_sha256"),
        sa.ForeignKeyConstraint(["business_id"], ["businesses.id"], name="fk_business_versions_business_id"),
    )
    op.create_table(
        "activations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("business_id", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("activated_at", _TIME, nullable=False),
        sa.Column("undone_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_activations"),
        sa.ForeignKeyConstraint(
            ["business_id", "version"],
            ["business_versions.business_id", "business_versions.version"],
            name="fk_activations_business_id_version",
        ),
    )
    op.create_index("ix_activations_business_id_id", "activations", ["business_id", "id"])
    op.create_table(
        "phone_numbers",
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("business_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_phone_numbers"),
        sa.ForeignKeyConstraint(["business_id"], ["businesses.id"], name="fk_phone_numbers_business_id"),
    )
    op.create_index("ix_phone_numbers_business_id", "phone_numbers", ["business_id"])
    _create_calls()


def _create_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("business_id", sa.Text, nullable=False),
        sa.Column("business_version", sa.Integer),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("caller_number", sa.Text),
        sa.Column("dialled_number", sa.Text),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.Column("ended_by", sa.Text),
        sa.Column("end_reason", sa.Text),
        sa.Column("lead_status", sa.Text, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("header", sa.JSON, nullable=False),
        sa.Column("snapshot", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index("ix_calls_started_at", "calls", ["started_at"])
    op.create_index("ix_calls_business_id_started_at", "calls", ["business_id", "started_at"])
    op.create_table(
        "call_events",
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("t", sa.Double, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("call_id", "seq", name="pk_call_events"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_call_events_call_id", ondelete="CASCADE"),
    )
    op.create_table(
        "leads",
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("business_id", sa.Text, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("caller_number", sa.Text),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_leads"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_leads_call_id", ondelete="CASCADE"),
    )
    op.create_index("ix_leads_created_at", "leads", ["created_at"])
    op.create_index("ix_leads_business_id_created_at", "leads", ["business_id", "created_at"])


def downgrade() -> None:
    """Undo."""
    for table in (
        "leads",
        "call_events",
        "calls",
        "phone_numbers",
        "activations",
        "business_versions",
        "businesses",
    ):
        op.drop_table(table)
