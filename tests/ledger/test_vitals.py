"""The project's own vital and counter, as watchroom finds them."""

import json
import sqlite3
from contextlib import closing

ASK = """
import json
from journal.vitals import JOURNAL_UNBALANCED, journal_unbalanced
from watchroom.catalogue.load import catalogue
names = [vital.name for vital in catalogue([JOURNAL_UNBALANCED], {})]
print(json.dumps({"unbalanced": journal_unbalanced(), "last": names[-1]}))
"""


def test_the_gauge_counts_entries_that_somebody_wrote_past_the_code(ledger):
    def asked():
        return json.loads(ledger.manage("shell", "-v", "0", "-c", ASK).stdout)

    assert asked() == {"unbalanced": 0, "last": "JournalUnbalanced"}
    with closing(sqlite3.connect(ledger.data / "ledger.db")) as database, database:
        database.execute("UPDATE journal_posting SET amount = amount + 1 WHERE id < 3")
    assert asked()["unbalanced"] in {1, 2}


def test_the_vital_is_read_where_there_is_no_database(ledger):
    (ledger.data / "ledger.db").unlink()
    read = "import journal.vitals as v; print(v.JOURNAL_UNBALANCED.title)"
    done = ledger.manage("shell", "-v", "0", "-c", read)
    assert done.stdout == "Unbalanced entries\n"


def test_steps_of_invoices_are_declared_as_a_counter(ledger):
    read = "from billing.vitals import invoices; print(invoices.metric.name)"
    done = ledger.manage("shell", "-v", "0", "-c", read)
    assert done.stdout == "invoices_total\n"
