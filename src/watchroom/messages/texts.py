"""The text of a page: templates that Alertmanager and the monitor both expand.

`build` writes them into alertmanager.yml; the monitor falls back to them where a file
of the team's own leaves a text out.
"""

from __future__ import annotations


def _slack(expr: str) -> str:
    """Return an action that prints `expr` with Slack's three characters escaped."""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        expr += f' | reReplaceAll "{char}" "{entity}"'
    return f"{{{{ {expr} }}}}"


def _plain(expr: str) -> str:
    return f"{{{{ {expr} }}}}"


_NAME = 'or .CommonLabels.alertname "Several alerts"'
_FIRST = "or .CommonAnnotations.summary (index .Alerts 0).Annotations.summary"
_EACH = "or .Annotations.summary .Labels.alertname"  # a rule may have no annotations
_STATE = (
    '{{ if eq .Status "firing" }}{{ with .CommonLabels.priority }}{{ . }} {{ end }}'
    "{{ else }}Resolved: {{ end }}"
)
_COUNT = "{{ if gt (len .Alerts) 1 }} ({{ len .Alerts }}){{ end }}"

SLACK_TITLE = (
    f"{_STATE}{_slack(_NAME)}{_COUNT}"
    f"{{{{ with .CommonLabels.project }}}} · {_slack('.')}{{{{ end }}}}"
    f"{{{{ with .CommonLabels.env }}}} · {_slack('.')}{{{{ end }}}}"
)
SLACK_LINK = "{{ or .CommonAnnotations.dashboard_url .ExternalURL }}"
SLACK_COLOR = (
    '{{ if ne .Status "firing" }}good'
    '{{ else if eq .CommonLabels.severity "critical" "page" }}danger'
    "{{ else }}warning{{ end }}"
)
SLACK_FALLBACK = (
    f"{_STATE}{_slack(_NAME)}{{{{ with {_FIRST} }}}}: {_slack('.')}{{{{ end }}}}"
)
SLACK_TEXT = (
    "{{ range .Alerts.Firing }}"
    f"*{_slack(_EACH)}*\n"
    f"{{{{ with .Annotations.description }}}}{_slack('.')}\n{{{{ end }}}}"
    "{{ with .Annotations.runbook_url }}<{{ . }}|Runbook>{{ end }}"
    "{{ with .Annotations.dashboard_url }} · <{{ . }}|Dashboard>{{ end }}\n"
    "{{ end }}{{ range .Alerts.Resolved }}"
    f"Resolved: {_slack(_EACH)}\n"
    "{{ end }}"
)

PAGERDUTY_DESCRIPTION = (
    f"{_STATE}{_plain(_NAME)}{{{{ with {_FIRST} }}}}: {_plain('.')}{{{{ end }}}}"
)
PAGERDUTY_SEVERITY = (
    '{{ if eq .CommonLabels.priority "P1" }}critical'
    '{{ else if eq .CommonLabels.priority "P2" }}error'
    '{{ else if eq .CommonLabels.severity "critical" "page" }}critical'
    "{{ else }}warning{{ end }}"
)
PAGERDUTY_CLIENT = "watchroom"
PAGERDUTY_CLIENT_URL = "{{ .ExternalURL }}"
PAGERDUTY_CLASS = "{{ .CommonLabels.alertname }}"
PAGERDUTY_COMPONENT = "{{ .CommonLabels.job }}"
PAGERDUTY_GROUP = "{{ .CommonLabels.project }}"
PAGERDUTY_DETAILS = {
    "alerts": (
        f"{{{{ range .Alerts.Firing }}}}{_plain(_EACH)}\n"
        "{{ .Annotations.description }}\n{{ end }}"
    ),
    "dashboard": "{{ .CommonAnnotations.dashboard_url }}",
    "runbook": "{{ .CommonAnnotations.runbook_url }}",
}

MAIL_SUBJECT = PAGERDUTY_DESCRIPTION
MAIL_TEXT = (
    "{{ range .Alerts.Firing }}"
    f"{_plain(_EACH)}\n"
    "{{ with .Annotations.description }}{{ . }}\n{{ end }}"
    "{{ with .Annotations.runbook_url }}Runbook: {{ . }}\n{{ end }}"
    "{{ with .Annotations.dashboard_url }}Dashboard: {{ . }}\n{{ end }}"
    "\n{{ end }}{{ range .Alerts.Resolved }}"
    f"Resolved: {_plain(_EACH)}\n"
    "{{ end }}"
    "\nSent by watchroom, {{ .ExternalURL }}\n"
)
