"""What only this project can know about itself: whether its books balance."""

import watchroom
from watchroom import Alert, Chart, Drill, Panel, Query, Runbook, Vital


@watchroom.gauge("journal_unbalanced", every="10s")
def journal_unbalanced() -> int:
    """Journal entries whose postings do not sum to zero."""
    # This module is also read where files are built, without a database.
    from journal.models import Entry

    return Entry.objects.unbalanced().count()


JOURNAL_UNBALANCED = Vital(
    title="Unbalanced entries",
    metrics=("journal_unbalanced",),
    group="journal",
    limit=0,
    alerts=(
        Alert(
            name="JournalUnbalanced",
            # max, not sum: every exporter counts the same database.
            expr="max by (job) (journal_unbalanced) > $limit",
            for_="1m",
            severity="critical",
            priority="P1",
            summary="{{ $value }} journal entries do not balance",
            description=(
                "The postings of {{ $value }} entries do not sum to zero, so the trial "
                "balance is wrong and so is every report made from it."
            ),
            runbook=Runbook(
                meaning=(
                    "For $for_words the database has held journal entries whose debits "
                    "and credits differ. The code writes entries only through "
                    "`posting.post()`, which refuses them, and PostgreSQL refuses them "
                    "at the commit: something has written past both."
                ),
                impact=(
                    "No visitor notices. Reports, tax returns and the trial balance "
                    "are wrong, and the longer it lasts, the more is built on it."
                ),
                diagnosis="""\
Which entries, and since when:

```sh
python manage.py shell -c "
for entry in Entry.objects.unbalanced()[:20]:
    print(entry.pk, entry.created_at, entry, list(entry.postings.values()))"
```

Then ask who wrote at that time: a data migration, a shell, a script, a restored
backup.""",
                mitigation="""\
- Stop what writes them: the script, the migration, the deploy.
- Find what the entry was meant to say: its reference names the invoice or payment.
- Complete it with the posting that is missing, two of you, in a shell, written down.
  `posting.reverse()` refuses an entry that does not balance.
- Build the reports of the months concerned again.""",
            ),
            drill=Drill(
                fault=("journal_unbalanced 1+0x$steps",),
                recovery=("journal_unbalanced 0+0x$steps",),
                calm=("journal_unbalanced 0+0x$steps",),
            ),
        ),
    ),
    charts=(
        Chart(
            title="Unbalanced entries",
            description="Journal entries whose debits and credits differ.",
            row="Ledger",
            queries=(
                Query(
                    "max by (instance) (journal_unbalanced{$targets})", "{{instance}}"
                ),
            ),
            decimals=0,
        ),
    ),
    panel=Panel(
        expr="max(journal_unbalanced{$real})",
        presence="count(journal_unbalanced{$real})",
        decimals=0,
    ),
)
