"""Live calls: the media streams that a call was given, and which process runs it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "call_streams",
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME),
        sa.PrimaryKeyConstraint("nonce", name="pk_call_streams"),
        sa.UniqueConstraint("call_id", "attempt", name="uq_call_streams_call_id_attempt"),
        sa.ForeignKeyConstraint(
            ["call_id"], ["calls.id"], name="fk_call_streams_call_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "call_leases",
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_leases"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_call_leases_call_id", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("call_leases")
    op.drop_table("call_streams")
