from django.urls import path

from billing import views

app_name = "billing"
urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("customers/", views.customers, name="customers"),
    path("customers/new/", views.customer_new, name="customer-new"),
    path("customers/<int:pk>/", views.customer, name="customer"),
    path("invoices/", views.invoices, name="invoices"),
    path("invoices/new/", views.invoice_new, name="invoice-new"),
    path("invoices/<int:pk>/", views.invoice, name="invoice"),
    path("invoices/<int:pk>/issue/", views.invoice_issue, name="invoice-issue"),
    path("invoices/<int:pk>/void/", views.invoice_void, name="invoice-void"),
    path("invoices/<int:pk>/pay/", views.invoice_pay, name="invoice-pay"),
    path("reports/", views.reports_list, name="reports"),
    path("reports/<int:year>/<int:month>/", views.report, name="report"),
    path(
        "reports/<int:year>/<int:month>/build/", views.report_build, name="report-build"
    ),
]
