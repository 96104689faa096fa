from django.urls import include, path
from tests.app import views

urlpatterns = [
    path("", views.fine),
    path("fine/<int:number>/", views.fine),
    path("work/", views.work),
    path("afine/", views.afine),
    path("boom/", views.boom),
    path("exit/", views.leave),
    path("stream/", views.stream),
    path("astream/", views.astream),
    path("slow/", views.slow),
    path("hang/", views.hang),
    path("aslow/", views.aslow),
    path("pid/", views.pid),
    path("", include("watchroom.urls")),
    path("inner/", include("watchroom.urls")),
    path("own/health/", views.fine),
    path("note/", views.note),
    path("anote/", views.anote),
    path("leak/", views.leak),
    path("aleak/", views.aleak),
    path("metrics", views.fine),
    path("reset/<uidb64>/<token>/", views.reset),
    path("areset/<uidb64>/<token>/", views.areset),
]
