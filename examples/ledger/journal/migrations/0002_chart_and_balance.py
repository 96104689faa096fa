# ruff: noqa: RUF012 - this is how Django reads classes
"""The chart of accounts, and PostgreSQL's own word that entries balance."""

from django.db import migrations

CHART = [
    ("1000", "Bank", "asset"),
    ("1200", "Receivables", "asset"),
    ("2200", "VAT payable", "liability"),
    ("3000", "Equity", "equity"),
    ("4000", "Sales", "income"),
    ("6000", "Expenses", "expense"),
]

# An entry is whole only at the end of its transaction, so the check must wait for the
# commit. PostgreSQL can, SQLite cannot: there the vital in vitals.py is the guard.
BALANCE = """
CREATE FUNCTION journal_entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
BEGIN
    touched := CASE TG_OP WHEN 'DELETE' THEN OLD.entry_id ELSE NEW.entry_id END;
    IF (SELECT coalesce(sum(amount), 0)
            FROM journal_posting WHERE entry_id = touched) <> 0 THEN
        RAISE EXCEPTION 'journal entry % does not balance', touched
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER journal_posting_balances
    AFTER INSERT OR UPDATE OR DELETE ON journal_posting
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION journal_entry_balances();
"""

UNBALANCE = """
DROP TRIGGER journal_posting_balances ON journal_posting;
DROP FUNCTION journal_entry_balances();
"""


def open_accounts(apps, _schema_editor):
    account = apps.get_model("journal", "Account")
    account.objects.bulk_create(
        account(code=code, name=name, kind=kind) for code, name, kind in CHART
    )


def close_accounts(apps, _schema_editor):
    codes = [code for code, _, _ in CHART]
    apps.get_model("journal", "Account").objects.filter(code__in=codes).delete()


def add_trigger(_apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(BALANCE, params=None)


def drop_trigger(_apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(UNBALANCE, params=None)


class Migration(migrations.Migration):
    dependencies = [("journal", "0001_initial")]
    operations = [
        migrations.RunPython(open_accounts, close_accounts),
        migrations.RunPython(add_trigger, drop_trigger),
    ]
