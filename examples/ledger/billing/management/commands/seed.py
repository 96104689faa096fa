"""Sample customers, invoices and payments; the same ones every time."""

import random
from datetime import date, timedelta

from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from billing import reports
from billing.invoicing import Item, draft, issue, receive
from billing.models import Customer

FIRST = ["North", "River", "Blue", "Stone", "Harbour", "Maple", "Silver", "Copper"]
SECOND = ["Bakery", "Press", "Cycles", "Dairy", "Tools", "Gardens", "Textiles", "Foods"]
WORK = ["Consulting", "Bookkeeping", "Licence", "Support", "Training", "Hosting"]


class Command(BaseCommand):
    help = "Create sample data. Running it again changes nothing."

    def add_arguments(self, parser):
        parser.add_argument("--customers", type=int, default=40, help="default: 40")
        parser.add_argument(
            "--today", type=date.fromisoformat, default=None, help="YYYY-MM-DD"
        )

    def handle(self, *, customers, today, **_options):
        today = today or timezone.localdate()
        created = 0
        with transaction.atomic():
            for number in range(customers):
                created += seed_customer(number, today)
        if created:
            reports.build(today.replace(day=1))
        self.stdout.write(
            f"{created} customers added, {Customer.objects.count()} in all"
        )


def seed_customer(number: int, today: date) -> bool:
    """Create customer `number` with a year of invoices, unless it is there."""
    name = f"{FIRST[number % 8]} {SECOND[number // 8 % 8]}"
    email = f"accounts@customer-{number}.example"
    customer, created = Customer.objects.get_or_create(
        email=email, defaults={"name": name}
    )
    if not created:
        return False
    chance = random.Random(number)
    for age in sorted(chance.sample(range(360), 6), reverse=True):
        seed_invoice(customer, chance, today - timedelta(days=age), today)
    return True


def seed_invoice(
    customer: Customer, chance: random.Random, day: date, today: date
) -> None:
    items = [
        Item(
            chance.choice(WORK),
            chance.randint(1, 20),
            chance.randrange(20_00, 400_00, 5_00),
        )
        for _ in range(chance.randint(1, 4))
    ]
    invoice = draft(customer, items, day)
    if chance.random() < 0.1:
        return
    invoice = issue(invoice.pk, day, send=False)
    paid_on = day + timedelta(days=chance.randint(2, 45))
    if paid_on <= today and chance.random() < 0.9:
        receive(invoice.pk, invoice.gross, f"bank {invoice.number}", paid_on)
