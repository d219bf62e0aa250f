"""
What the gateway must not lose: tokens, revocations, audit. Migrated with alembic, backed up by the operator.
"""
