"""Messages to people: Slack, PagerDuty, e-mail, their texts and links."""
