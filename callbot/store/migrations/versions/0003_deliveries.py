"""The outbox: which calls' leads are still to be told to their businesses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "deliveries",
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("business_id", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("held_until", _TIME),
        sa.Column("delivered_at", _TIME),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("call_id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_deliveries_call_id", ondelete="CASCADE"),
    )
    op.create_index("ix_deliveries_due_at", "deliveries", ["due_at"])


def downgrade() -> None:
    """Undo."""
    op.drop_table("deliveries")
