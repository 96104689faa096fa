from django.urls import path

from journal import views

app_name = "journal"
urlpatterns = [
    path("", views.trial_balance, name="trial-balance"),
    path("entries/", views.entries, name="entries"),
    path("entries/<int:pk>/", views.entry, name="entry"),
]
