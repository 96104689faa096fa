# ruff: noqa: RUF012 - this is how Django reads classes
"""What people and programs may send; the JSON views check with the same forms."""

from django import forms

from billing.models import Customer, Invoice, Payment


class EuroField(forms.DecimalField):
    """Euros as people write them, cents as the books keep them."""

    def __init__(self, **options):
        super().__init__(max_digits=10, decimal_places=2, **options)

    def clean(self, value):
        euros = super().clean(value)
        return None if euros is None else int(euros * 100)


class CustomerForm(forms.ModelForm):
    class Meta:
        model = Customer
        fields = ["name", "email"]


class InvoiceForm(forms.Form):
    # A number to type: a list of every customer is a slow page.
    customer = forms.ModelChoiceField(
        Customer.objects.all(), widget=forms.NumberInput, label="Customer number"
    )
    days = forms.IntegerField(
        min_value=0, max_value=365, initial=30, label="Days to pay"
    )


class LineForm(forms.Form):
    text = forms.CharField(max_length=120)
    quantity = forms.IntegerField(min_value=1, max_value=100_000)
    unit_price = EuroField(min_value=0, label="Price (€)")


LineFormSet = forms.formset_factory(LineForm, extra=3, max_num=50, validate_max=True)


class PaymentForm(forms.ModelForm):
    amount = EuroField(label="Amount (€)")

    class Meta:
        model = Payment
        fields = ["amount", "reference"]

    def validate_unique(self):
        """Leave a double reference to invoicing.receive(), which has the lock."""


class InvoiceFilter(forms.Form):
    status = forms.ChoiceField(
        choices=[("", "all"), *Invoice.Status.choices], required=False
    )


class CustomerFilter(forms.Form):
    q = forms.CharField(max_length=60, required=False)
