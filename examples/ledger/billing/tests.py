# ruff: noqa: PT009, PT027 - Django's own runner reads best with its own assertions
import json
from datetime import date, timedelta
from io import StringIO

from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client, TestCase
from django.utils import timezone

from billing import invoicing, reports, tasks
from billing.invoicing import Item, RefusedError
from billing.models import Customer, Invoice, MonthlyReport, Payment
from journal.models import Account, Entry

DAY = date(2026, 3, 10)


class BillingTest(TestCase):
    def setUp(self):
        cache.clear()
        self.customer = Customer.objects.create(name="River Press", email="r@p.example")

    def issued(self, cents=10_00, day=DAY):
        draft = invoicing.draft(self.customer, [Item("Work", 1, cents)], day)
        return invoicing.issue(draft.pk, day)

    def balances(self):
        found = Account.objects.with_balance().values_list("code", "balance")
        return {code: balance for code, balance in found if balance}


class InvoicingTest(BillingTest):
    def test_a_draft_is_summed_and_in_no_book(self):
        items = [Item("Work", 3, 33_33), Item("Travel", 1, 1)]
        draft = invoicing.draft(self.customer, items, DAY, days=14)
        self.assertEqual((draft.net, draft.vat, draft.gross), (100_00, 20_00, 120_00))
        self.assertEqual((draft.number, draft.due, draft.due_on.day), (None, 0, 24))
        self.assertEqual(Entry.objects.count(), 0)

    def test_half_a_cent_of_vat_is_rounded_up(self):
        vats = [
            invoicing.draft(self.customer, [Item("Work", 1, cents)], DAY).vat
            for cents in (1, 2, 3, 12, 13)
        ]
        self.assertEqual(vats, [0, 0, 1, 2, 3])

    def test_an_invoice_without_lines_or_of_billions_is_refused(self):
        for items in ([], [Item("Work", 100_000, 100_000_000)]):
            with self.assertRaises(RefusedError):
                invoicing.draft(self.customer, items, DAY)

    def test_numbers_have_no_gaps_and_begin_anew_each_year(self):
        days = [DAY, DAY, date(2027, 1, 1), DAY]
        numbers = [self.issued(day=day).number for day in days]
        self.assertEqual(
            numbers, ["2026-000001", "2026-000002", "2027-000001", "2026-000003"]
        )

    def test_issuing_books_and_sends_once(self):
        with self.captureOnCommitCallbacks(execute=True):
            invoice = self.issued()
        self.assertEqual(
            self.balances(), {"1200": 12_00, "2200": -2_00, "4000": -10_00}
        )
        tasks.send_invoice(invoice.pk)
        self.assertEqual(
            [m.subject for m in mail.outbox], [f"Invoice {invoice.number}"]
        )
        self.assertIn("12.00 €", mail.outbox[0].body)
        with self.assertRaisesMessage(RefusedError, "open, not draft"):
            invoicing.issue(invoice.pk, DAY)

    def test_an_invoice_of_nothing_is_paid_at_once(self):
        invoice = self.issued(cents=0)
        self.assertEqual((invoice.status, Entry.objects.count()), ("paid", 0))

    def test_payments_close_the_invoice_when_they_cover_it(self):
        invoice = self.issued()
        invoicing.receive(invoice.pk, 5_00, "a", DAY)
        invoice.refresh_from_db()
        self.assertEqual((invoice.status, invoice.due), ("open", 7_00))
        invoicing.receive(invoice.pk, 7_00, "b", DAY)
        invoice.refresh_from_db()
        self.assertEqual((invoice.status, invoice.due), ("paid", 0))
        self.assertEqual(
            self.balances(), {"1000": 12_00, "2200": -2_00, "4000": -10_00}
        )

    def test_payments_that_do_not_fit_are_refused_and_booked_nowhere(self):
        invoice = self.issued()
        invoicing.receive(invoice.pk, 1_00, "once", DAY)
        before = (self.balances(), Payment.objects.count())
        for amount, reference in (
            (11_01, "more"),
            (0, "none"),
            (-1, "less"),
            (1, "once"),
        ):
            with self.assertRaises(RefusedError):
                invoicing.receive(invoice.pk, amount, reference, DAY)
        self.assertEqual((self.balances(), Payment.objects.count()), before)

    def test_a_voided_invoice_leaves_the_books_as_they_were(self):
        invoice = self.issued()
        invoicing.void(invoice.pk, DAY)
        self.assertEqual((self.balances(), Entry.objects.count()), ({}, 2))
        with self.assertRaises(RefusedError):
            invoicing.receive(invoice.pk, 1, "late", DAY)

    def test_an_invoice_with_payments_is_not_voided(self):
        invoice = self.issued()
        invoicing.receive(invoice.pk, 1, "a", DAY)
        with self.assertRaises(RefusedError):
            invoicing.void(invoice.pk, DAY)

    def test_the_database_refuses_what_the_code_would_never_do(self):
        invoice = self.issued()
        for wrong in (
            {"paid": 13_00},
            {"status": "paid"},
            {"number": None},
            {"status": "x"},
        ):
            with (
                self.subTest(wrong),
                self.assertRaises(IntegrityError),
                transaction.atomic(),
            ):
                Invoice.objects.filter(pk=invoice.pk).update(**wrong)


class ReportsTest(BillingTest):
    def test_a_summary_is_cached_until_something_happens(self):
        with self.captureOnCommitCallbacks(execute=True):
            invoice = self.issued()
        today = DAY + timedelta(days=31)
        self.assertEqual(
            reports.customer_summary(self.customer.pk, today)["overdue"], 12_00
        )
        with self.assertNumQueries(0):
            reports.customer_summary(self.customer.pk, today)
        with self.captureOnCommitCallbacks(execute=True):
            invoicing.receive(invoice.pk, 2_00, "a", DAY)
        self.assertEqual(
            reports.customer_summary(self.customer.pk, today)["due"], 10_00
        )

    def test_a_monthly_report_holds_the_month_and_nothing_else(self):
        for day in (date(2026, 2, 28), DAY, date(2026, 3, 31), date(2026, 4, 1)):
            invoice = self.issued(day=day)
            invoicing.receive(invoice.pk, 1_00, invoice.number, day)
        invoicing.void(self.issued().pk, DAY)
        figures = reports.monthly(date(2026, 3, 1))
        self.assertEqual(
            (figures["invoices"], figures["net"], figures["vat"]), (2, 20_00, 4_00)
        )
        self.assertEqual((figures["payments"], figures["received"]), (2, 2_00))
        self.assertEqual([best["net"] for best in figures["best_customers"]], [20_00])
        with self.assertNumQueries(0):
            self.assertEqual(reports.monthly(date(2026, 3, 1)), figures)

    def test_building_again_replaces_the_report(self):
        tasks.build_report(2026, 3)
        self.issued()
        tasks.build_report(2026, 3)
        self.assertEqual(MonthlyReport.objects.get().figures["invoices"], 1)
        self.assertEqual(reports.monthly(date(2026, 3, 1))["invoices"], 1)

    def test_missed_emails_are_sent_later(self):
        invoice = self.issued(day=timezone.localdate())
        Invoice.objects.update(created_at=timezone.now() - timedelta(minutes=6))
        self.assertEqual(tasks.send_missed(), 1)
        self.assertEqual(len(mail.outbox), 1)
        invoice.refresh_from_db()
        self.assertIsNotNone(invoice.emailed_at)
        self.assertEqual(tasks.send_missed(), 0)

    def test_seeding_twice_is_seeding_once(self):
        def seed():
            call_command("seed", customers=12, today=DAY, stdout=StringIO())
            rows = Invoice.objects.order_by("pk").values_list(
                "number", "net", "paid", "issued_on"
            )
            return list(rows), self.balances()

        first = seed()
        self.assertEqual(seed(), first)
        self.assertGreater(len(first[0]), 60)
        self.assertEqual(sum(first[1].values()), 0)
        self.assertEqual(Entry.objects.unbalanced().count(), 0)


class PagesTest(BillingTest):
    def test_every_page_answers(self):
        invoice = self.issued()
        for path in (
            "/",
            "/customers/",
            "/customers/?q=river&page=9",
            "/customers/new/",
            self.customer.get_absolute_url(),
            "/invoices/?status=open",
            "/invoices/?status=nonsense&page=x",
            f"/invoices/new/?customer={self.customer.pk}",
            invoice.get_absolute_url(),
            "/reports/",
            "/reports/2026/3/",
        ):
            with self.subTest(path):
                self.assertEqual(self.client.get(path).status_code, 200)

    def test_what_does_not_exist_is_not_found(self):
        huge = 10**25
        for path in (
            "/customers/99/",
            f"/invoices/{huge}/",
            "/reports/2026/13/",
            "/reports/9/1/",
            "/reports/99999/1/",
            f"/reports/{huge}/1/",
        ):
            with self.subTest(path):
                self.assertEqual(self.client.get(path).status_code, 404)

    def test_an_invoice_goes_from_form_to_paid(self):
        written = self.client.post(
            "/invoices/new/",
            {
                "customer": self.customer.pk,
                "days": 14,
                "lines-TOTAL_FORMS": 2,
                "lines-INITIAL_FORMS": 0,
                "lines-0-text": "Work",
                "lines-0-quantity": 2,
                "lines-0-unit_price": "12.50",
            },
        )
        invoice = Invoice.objects.get()
        self.assertRedirects(written, invoice.get_absolute_url())
        self.client.post(f"/invoices/{invoice.pk}/issue/")
        late = self.client.post(f"/invoices/{invoice.pk}/issue/")
        self.assertContains(late, "open, not draft", status_code=409)
        pay = f"/invoices/{invoice.pk}/pay/"
        self.assertEqual(self.client.post(pay, {"amount": "x"}).status_code, 400)
        paid = {"amount": "30.00", "reference": "bank 1"}
        self.assertRedirects(self.client.post(pay, paid), invoice.get_absolute_url())
        self.assertEqual(self.client.post(pay, paid).status_code, 409)
        void = self.client.post(f"/invoices/{invoice.pk}/void/")
        self.assertEqual(void.status_code, 409)
        self.assertEqual(Invoice.objects.get().status, "paid")

    def test_a_form_with_mistakes_comes_back(self):
        empty = {"customer": 99, "lines-TOTAL_FORMS": 0, "lines-INITIAL_FORMS": 0}
        self.assertContains(self.client.post("/invoices/new/", empty), "errorlist")
        self.assertContains(self.client.post("/invoices/new/", {}), "errorlist")
        self.assertContains(
            self.client.post("/customers/new/", {"name": "x"}), "errorlist"
        )
        no_lines = empty | {"customer": self.customer.pk, "days": 1}
        self.assertContains(
            self.client.post("/invoices/new/", no_lines), "at least one line"
        )

    def test_a_customer_is_added(self):
        added = self.client.post(
            "/customers/new/", {"name": "Blue Foods", "email": "b@f.example"}
        )
        self.assertRedirects(
            added, Customer.objects.get(name="Blue Foods").get_absolute_url()
        )

    def test_a_report_is_built_again_on_request(self):
        self.client.get("/reports/2026/3/")
        self.issued()
        self.client.post("/reports/2026/3/build/")
        self.assertEqual(MonthlyReport.objects.get().figures["invoices"], 1)

    def test_forms_of_other_sites_are_refused(self):
        stranger = Client(enforce_csrf_checks=True)
        for path in ("/customers/new/", f"/invoices/{self.issued().pk}/void/"):
            self.assertEqual(stranger.post(path).status_code, 403)


class ApiTest(BillingTest):
    def post(self, path, sent, content_type="application/json"):
        body = sent if isinstance(sent, (str, bytes)) else json.dumps(sent)
        return self.client.post(path, body, content_type=content_type)

    def test_customers_are_listed_added_and_shown(self):
        added = self.post(
            "/api/customers/", {"name": "Blue Foods", "email": "b@f.example"}
        )
        self.assertEqual(added.status_code, 201)
        listed = self.client.get("/api/customers/").json()
        self.assertEqual(
            [row["name"] for row in listed["results"]], ["Blue Foods", "River Press"]
        )
        shown = self.client.get(f"/api/customers/{added.json()['id']}/").json()
        self.assertEqual(shown["summary"]["invoices"], 0)

    def test_an_invoice_is_sent_and_paid(self):
        lines = [{"text": "Work", "quantity": 2, "unit_price": "10.00"}]
        sent = self.post(
            "/api/invoices/", {"customer": self.customer.pk, "lines": lines}
        )
        self.assertEqual((sent.status_code, sent.json()["due"]), (201, 24_00))
        path = f"/api/invoices/{sent.json()['id']}/"
        paid = self.post(f"{path}payments/", {"amount": 24, "reference": "x"})
        self.assertEqual((paid.status_code, paid.json()["amount"]), (201, 24_00))
        shown = self.client.get(path).json()
        self.assertEqual((shown["status"], len(shown["lines"])), ("paid", 1))
        self.assertEqual(
            len(self.client.get("/api/invoices/?status=paid").json()["results"]), 1
        )
        again = self.post(f"{path}payments/", {"amount": 1, "reference": "y"})
        self.assertEqual(again.status_code, 409)

    def test_a_draft_stays_a_draft(self):
        lines = [{"text": "Work", "quantity": 1, "unit_price": 1}]
        asked = {"customer": self.customer.pk, "lines": lines, "draft": True}
        self.assertEqual(self.post("/api/invoices/", asked).json()["status"], "draft")

    def test_figures_are_served(self):
        self.issued()
        accounts = self.client.get("/api/balance/").json()["accounts"]
        self.assertEqual(sum(account["balance"] for account in accounts), 0)
        self.assertEqual(self.client.get("/api/reports/2026/3/").json()["invoices"], 1)

    def test_what_makes_no_sense_is_refused_with_a_reason(self):
        pk = self.customer.pk
        line = {"text": "Work", "quantity": 1, "unit_price": "1"}
        pay = f"/api/invoices/{self.issued().pk}/payments/"
        for path, sent in (
            ("/api/customers/", "{"),
            ("/api/customers/", b"\xff"),
            ("/api/customers/", []),
            ("/api/customers/", {"name": ["x"], "email": 3}),
            ("/api/customers/", '{"name": "\\ud800", "email": "x@y.example"}'),
            ("/api/customers/", {"name": "x\0", "email": "x@y.example"}),
            ("/api/customers/", {"name": "x", "email": self.customer.email}),
            ("/api/invoices/", {}),
            ("/api/invoices/", {"customer": pk}),
            ("/api/invoices/", {"customer": 10**30, "lines": [line]}),
            ("/api/invoices/", {"customer": pk, "lines": ["x"]}),
            ("/api/invoices/", {"customer": pk, "lines": [line] * 51}),
            ("/api/invoices/", {"customer": pk, "lines": [line | {"quantity": 0}]}),
            (
                "/api/invoices/",
                {"customer": pk, "lines": [line | {"unit_price": "NaN"}]},
            ),
            (
                "/api/invoices/",
                {"customer": pk, "lines": [line | {"unit_price": "1e99"}]},
            ),
            (pay, {"amount": "12.001", "reference": "x"}),
            (pay, {"amount": {}, "reference": "x"}),
        ):
            with self.subTest(path=path, sent=sent):
                answer = self.post(path, sent)
                self.assertEqual(answer.status_code, 400)
                self.assertTrue(answer.json()["errors"])
        empty = self.post("/api/invoices/", {"customer": pk, "lines": []})
        self.assertEqual(empty.status_code, 409)
        other = self.post("/api/customers/", {}, "text/plain")
        self.assertEqual(other.status_code, 415)
        missing = self.client.get("/api/customers/99/")
        self.assertEqual(
            (missing.status_code, missing["Content-Type"]), (404, "application/json")
        )
