from django.urls import path

from billing import api

app_name = "api"
urlpatterns = [
    path("customers/", api.customers, name="customers"),
    path("customers/<int:pk>/", api.customer, name="customer"),
    path("invoices/", api.invoices, name="invoices"),
    path("invoices/<int:pk>/", api.invoice, name="invoice"),
    path("invoices/<int:pk>/payments/", api.payments, name="payments"),
    path("reports/<int:year>/<int:month>/", api.report, name="report"),
    path("balance/", api.balance, name="balance"),
]
