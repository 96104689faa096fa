"""Keys that Prometheus and Alertmanager know and the embedded monitor does not.

A file that names one is refused as "not supported", not as misspelt. Taken from
Prometheus 3.16 and Alertmanager 0.31.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Keys(NamedTuple):
    """Keys of one mapping, and what to do about any of them."""

    names: frozenset[str]
    instead: str


def _prometheus(names: Iterable[str]) -> Keys:
    hint = "remove it, or run the real Prometheus on the same files"
    return Keys(frozenset(names), hint)


def _alertmanager(names: Iterable[str]) -> Keys:
    hint = "remove it, or run the real Alertmanager on the same files"
    return Keys(frozenset(names), hint)


INSTEAD = {
    "credentials": "put it into a file and name that: credentials_file",
    "bearer_token": "write authorization: {credentials_file: FILE}",
    "bearer_token_file": "write authorization: {credentials_file: FILE}",
    "auth_password": "put it into a file and name that: auth_password_file",
    "routing_key": "put it into a file and name that: routing_key_file",
    "match": "write it as matchers: ['name=\"value\"']",
    "match_re": "write it as matchers: ['name=~\"pattern\"']",
    "source_match": "write it as source_matchers: ['name=\"value\"']",
    "source_match_re": "write it as source_matchers: ['name=~\"pattern\"']",
    "target_match": "write it as target_matchers: ['name=\"value\"']",
    "target_match_re": "write it as target_matchers: ['name=~\"pattern\"']",
    "smtp_smarthost": "give each entry of email_configs its smarthost",
    "smtp_from": "give each entry of email_configs its from",
    "slack_api_url": "give each entry of slack_configs its api_url_file",
}
"What to write instead of a key, where there is a replacement."

AUTHORIZATION = _alertmanager({"credentials", "credentials_ref"})
_HTTP_CLIENT = frozenset(
    {
        *("basic_auth", "oauth2", "tls_config", "bearer_token", "bearer_token_file"),
        *("follow_redirects", "enable_http2", "http_headers", "proxy_url", "no_proxy"),
        *("proxy_from_environment", "proxy_connect_header"),
    }
)
_DISCOVERIES = (
    "aws azure consul digitalocean docker dockerswarm dns ec2 elasticache eureka gce "
    "hetzner ionos kubernetes kuma lightsail linode marathon msk nerve nomad openstack "
    "outscale ovhcloud puppetdb scaleway serverset stackit triton uyuni vultr"
)
_SD = frozenset(f"{name}_sd_configs" for name in _DISCOVERIES.split())
_LIMITS = frozenset(
    {
        *("label_limit", "label_name_length_limit", "label_value_length_limit"),
        *("target_limit", "keep_dropped_targets", "scrape_protocols"),
        *("scrape_native_histograms", "always_scrape_classic_histograms"),
        *("convert_classic_histograms_to_nhcb", "scrape_failure_log_file"),
        *("metric_name_validation_scheme", "metric_name_escaping_scheme"),
        "extra_scrape_metrics",
    }
)
SCRAPE = _prometheus(
    _HTTP_CLIENT
    | _SD
    | _LIMITS
    | {
        *("fallback_scrape_protocol", "enable_compression", "metric_relabel_configs"),
        "native_histogram_bucket_limit",
        "native_histogram_min_bucket_factor",
    }
)
HTTP_CLIENT = _prometheus(_HTTP_CLIENT)
GLOBAL = _prometheus(
    _LIMITS | {"query_log_file", "rule_query_offset", "body_size_limit", "sample_limit"}
)
ALERTMANAGERS = _prometheus(
    _HTTP_CLIENT
    | _SD
    | {
        *("relabel_configs", "alert_relabel_configs", "sigv4", "http_sd_configs"),
        "file_sd_configs",
    }
)
ALERTING = _prometheus({"alert_relabel_configs"})
PROMETHEUS = _prometheus(
    {
        *("runtime", "scrape_config_files", "tracing", "remote_write", "remote_read"),
        *("storage", "otlp"),
    }
)
RULE_GROUP = _prometheus({"query_offset", "labels"})

ROUTE = _alertmanager(
    {"match", "match_re", "mute_time_intervals", "active_time_intervals"}
)
INHIBIT = _alertmanager(
    {
        *("source_match", "source_match_re", "target_match", "target_match_re"),
        *("name", "sources"),
    }
)
AM = _alertmanager(
    {"time_intervals", "mute_time_intervals", "templates", "tracing", "event_recorder"}
)
AM_GLOBAL = _alertmanager(
    {
        *("smtp_from", "smtp_hello", "smtp_smarthost", "smtp_auth_username"),
        *("smtp_auth_password", "smtp_auth_password_file", "smtp_auth_secret"),
        *("smtp_auth_secret_file", "smtp_auth_identity", "smtp_require_tls"),
        *("smtp_tls_config", "smtp_force_implicit_tls", "slack_api_url"),
        *("slack_api_url_file", "slack_app_token", "slack_app_token_file"),
        *("slack_app_url", "victorops_api_key", "victorops_api_key_file"),
        *("victorops_api_url", "pagerduty_url", "opsgenie_api_key"),
        *("opsgenie_api_key_file", "opsgenie_api_url", "rocketchat_api_url"),
        *("rocketchat_token", "rocketchat_token_file", "rocketchat_token_id"),
        *("rocketchat_token_id_file", "wechat_api_url", "wechat_api_secret"),
        *("wechat_api_secret_file", "wechat_api_corp_id", "telegram_api_url"),
        *("telegram_bot_token", "telegram_bot_token_file", "webex_api_url"),
        *("jira_api_url", "mattermost_webhook_url", "mattermost_webhook_url_file"),
        "http_config",
    }
)
_RECEIVERS = (
    "discord incidentio jira mattermost msteams msteamsv2 opsgenie pushover rocketchat "
    "sns telegram victorops webex wechat"
)
RECEIVER = _alertmanager(f"{name}_configs" for name in _RECEIVERS.split())
RECEIVER_HTTP = _alertmanager(_HTTP_CLIENT)
WEBHOOK = _alertmanager({"timeout", "payload", "custom_payload"})
TLS = _alertmanager(
    {
        *("ca", "cert", "cert_file", "cert_ref", "key", "key_file", "key_ref"),
        "ca_ref",
        *("server_name", "insecure_skip_verify", "min_version", "max_version"),
    }
)
EMAIL = _alertmanager(
    {
        *("auth_password", "auth_secret", "auth_secret_file", "auth_identity"),
        *("force_implicit_tls", "threading"),
    }
)
PAGERDUTY = _alertmanager(
    {
        *("http_config", "routing_key", "service_key", "service_key_file", "source"),
        *("links", "images", "timeout"),
    }
)
SLACK = _alertmanager(
    {
        *("http_config", "app_token", "app_token_file", "app_url", "username"),
        *("fields", "short_fields", "footer", "pretext", "callback_id"),
        *("icon_emoji", "icon_url", "image_url", "thumb_url", "link_names"),
        *("mrkdwn_in", "actions", "message_text", "timeout", "update_message"),
    }
)
