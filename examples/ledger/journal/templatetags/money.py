"""Cents for people."""

from django import template

register = template.Library()


@register.filter
def money(cents: int | None) -> str:
    """Show cents as euros: 123456 becomes "1,234.56 €"."""
    return "" if cents is None else f"{cents / 100:,.2f} €"


@register.filter
def negated(cents: int) -> int:
    """Turn a credit into the positive number people write."""
    return -cents
