# ruff: noqa: PT009, PT027 - Django's own runner reads best with its own assertions
from datetime import date

from django.db import IntegrityError, connection, transaction
from django.test import TestCase

from journal.models import Account, Entry, Posting
from journal.posting import (
    BANK,
    SALES,
    VAT,
    Amount,
    UnbalancedEntryError,
    post,
    reverse,
)
from journal.templatetags.money import money

DAY = date(2026, 3, 1)


class PostingTest(TestCase):
    def sell(self, reference="sale 1"):
        amounts = [Amount(BANK, 1200), Amount(SALES, -1000), Amount(VAT, -200)]
        return post(reference, "A sale", DAY, amounts)

    def test_an_entry_is_written_with_all_its_postings(self):
        entry = self.sell()
        written = list(entry.postings.values_list("account", "amount"))
        self.assertEqual(written, [(BANK, 1200), (SALES, -1000), (VAT, -200)])
        self.assertEqual(Entry.objects.unbalanced().count(), 0)

    def test_what_does_not_sum_to_zero_is_refused_whole(self):
        for amounts in ([], [Amount(BANK, 1)], [Amount(BANK, 2), Amount(SALES, -1)]):
            with self.assertRaises(UnbalancedEntryError):
                post("sale 1", "A sale", DAY, amounts)
        self.assertEqual((Entry.objects.count(), Posting.objects.count()), (0, 0))

    def test_no_event_is_posted_twice(self):
        self.sell()
        with self.assertRaises(IntegrityError), transaction.atomic():
            self.sell()
        self.assertEqual(Posting.objects.count(), 3)

    def test_a_failure_half_way_leaves_nothing(self):
        with self.assertRaises(IntegrityError), transaction.atomic():
            post("sale 1", "A sale", DAY, [Amount(BANK, 1), Amount("nope", -1)])
            connection.check_constraints()
        self.assertEqual((Entry.objects.count(), Posting.objects.count()), (0, 0))

    def test_a_reversal_takes_back_what_was_posted(self):
        self.sell()
        reverse("undo 1", "Undone", DAY, "sale 1")
        balances = Account.objects.with_balance().values_list("balance", flat=True)
        self.assertEqual(set(balances), {0})

    def test_a_posting_of_nothing_is_refused_by_the_database(self):
        entry = self.sell()
        with self.assertRaises(IntegrityError), transaction.atomic():
            Posting.objects.create(entry=entry, account_id=BANK, amount=0)

    def test_an_entry_changed_behind_our_back_is_noticed(self):
        entry = self.sell()
        self.sell("sale 2")
        changed = Posting.objects.filter(entry=entry, account=BANK)
        if connection.vendor == "postgresql":
            with self.assertRaises(IntegrityError), transaction.atomic():
                changed.update(amount=1201)
                connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")
        else:
            changed.update(amount=1201)
            self.assertEqual(list(Entry.objects.unbalanced()), [entry])

    def test_the_pages_show_the_books(self):
        entry = self.sell()
        self.assertContains(self.client.get("/journal/"), "12.00 €", count=3)
        self.assertNotContains(self.client.get("/journal/"), "does not balance")
        self.assertContains(self.client.get("/journal/entries/"), "A sale")
        self.assertContains(self.client.get(f"/journal/entries/{entry.pk}/"), "10.00 €")
        self.assertEqual(self.client.get("/journal/entries/999/").status_code, 404)
        self.assertEqual(self.client.post("/journal/").status_code, 405)

    def setUp(self):
        from django.core.cache import cache

        cache.clear()


class MoneyTest(TestCase):
    def test_cents_read_as_euros(self):
        self.assertEqual(
            [money(n) for n in (123456, -5, None)], ["1,234.56 €", "-0.05 €", ""]
        )
