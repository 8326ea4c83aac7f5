"""What calls show that may tell of a wrongful hang-up, and an index to find a caller's other calls by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Calls that are over by now stay without: only a call's end judges it."""
    op.create_table(
        "call_tells",
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("tell", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("call_id", "tell", name="pk_call_tells"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_call_tells_call_id", ondelete="CASCADE"),
    )
    op.create_index("ix_calls_caller_number_started_at", "calls", ["caller_number", "started_at"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_calls_caller_number_started_at", "calls")
    op.drop_table("call_tells")
