"""Keys and tokens that their vendors made recognisable, as data.

Each is what every one of the kind begins with, and a pattern of the rest. The forms
are the vendors' own words on their keys, as far as they publish them, and the partners'
of GitHub's secret scanning (docs.github.com, "Supported secret scanning patterns").
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Kind(NamedTuple):
    """One form of key.

    Attributes:
        vendor: Whose it is.
        begins: What all of them have in common, in this case.
        rest: A pattern of what follows; bounded.
    """

    vendor: str
    begins: str
    rest: str


KINDS = (
    Kind("Adobe", "p8e-", r"[\w-]{16,128}"),
    Kind("age", "AGE-SECRET-KEY-1", r"[0-9A-Z]{16,128}"),
    Kind("Airtable", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{32,64}"),
    Kind("Amazon", "AKIA", r"[0-9A-Z]{12,32}"),
    Kind("Amazon", "ASIA", r"[0-9A-Z]{12,32}"),
    Kind("Amazon", "ABIA", r"[0-9A-Z]{12,32}"),
    Kind("Amazon", "ACCA", r"[0-9A-Z]{12,32}"),
    Kind("Anthropic", "sk-ant-", r"[\w-]{16,256}"),
    Kind("Atlassian", "ATATT3", r"[\w=-]{16,512}"),
    Kind("Atlassian", "ATBB", r"[A-Za-z0-9]{16,64}"),
    Kind("Atlassian", "ATCTT3", r"[\w=-]{16,512}"),
    Kind("Contentful", "CFPAT-", r"[\w-]{16,128}"),
    Kind("crates.io", "cio", r"[A-Za-z0-9]{32}"),
    Kind("Databricks", "dapi", r"[0-9a-f]{32}(?:-\d)?"),
    Kind("DigitalOcean", "dop_v1_", r"[0-9a-f]{16,128}"),
    Kind("DigitalOcean", "doo_v1_", r"[0-9a-f]{16,128}"),
    Kind("DigitalOcean", "dor_v1_", r"[0-9a-f]{16,128}"),
    Kind("Discord", "discord.com/api/webhooks/", r"\d{8,32}/[\w-]{16,128}"),
    Kind("Discord", "discordapp.com/api/webhooks/", r"\d{8,32}/[\w-]{16,128}"),
    Kind("Docker", "dckr_pat_", r"[\w-]{16,128}"),
    Kind("Docker", "dckr_oat_", r"[\w-]{16,128}"),
    Kind("Doppler", "dp.", r"(?:pt|st|ct|sa|scim|audit)\.[\w.-]{16,128}"),
    Kind("Dynatrace", "dt0", r"[a-z]\d\d\.[A-Z0-9]{16,32}\.[A-Z0-9]{32,128}"),
    Kind("EasyPost", "EZAK", r"[A-Za-z0-9]{16,128}"),
    Kind("Facebook", "EAA", r"[A-Za-z0-9]{40,512}"),
    Kind("Figma", "figd_", r"[\w-]{16,128}"),
    Kind("Flutterwave", "FLWSECK", r"[\w-]{16,128}"),
    Kind("GitHub", "ghp_", r"\w{16,256}"),
    Kind("GitHub", "gho_", r"\w{16,256}"),
    Kind("GitHub", "ghu_", r"\w{16,256}"),
    Kind("GitHub", "ghs_", r"\w{16,256}"),
    Kind("GitHub", "ghr_", r"\w{16,256}"),
    Kind("GitHub", "github_pat_", r"\w{16,256}"),
    Kind("GitLab", "gl", r"(?:pat|dt|rt|cbt|ptt|soat|oas|ft|imt|agent)-[\w.-]{16,256}"),
    Kind("Google", "AIza", r"[\w-]{30,64}"),
    Kind("Google", "GOCSPX-", r"[\w-]{16,64}"),
    Kind("Google", "ya29.", r"[\w-]{16,2048}"),
    Kind("Grafana", "glsa_", r"\w{16,128}"),
    Kind("Grafana", "glc_", r"[\w=+/]{16,512}"),
    Kind("HashiCorp", "hvs.", r"[\w-]{16,256}"),
    Kind("HashiCorp", "hvb.", r"[\w-]{16,512}"),
    Kind("HashiCorp", "hvr.", r"[\w-]{16,256}"),
    Kind("HashiCorp", ".atlasv1.", r"[\w=-]{16,128}"),
    Kind("Heroku", "HRKU-", r"[\w-]{16,128}"),
    Kind("HubSpot", "pat-", r"[a-z]{2}\d-[0-9a-f-]{36}"),
    Kind("Hugging Face", "hf_", r"[A-Za-z0-9]{16,128}"),
    Kind("JSON web token", "eyJ", r"[\w-]{8,1024}\.[\w-]{2,4096}\.[\w-]{0,4096}"),
    Kind("Linear", "lin_", r"(?:api|oauth|wh)_[\w-]{16,128}"),
    Kind("Mailchimp", "", r"[0-9a-f]{32}-us\d{1,2}"),
    Kind("Mailgun", "key-", r"[0-9a-f]{32}"),
    Kind("Mapbox", "sk.eyJ", r"[\w.-]{16,512}"),
    Kind("Microsoft Teams", "webhook.office.com/", r"[^\s\"'<>]{16,512}"),
    Kind("Netlify", "nfp_", r"[\w-]{16,128}"),
    Kind("New Relic", "NRAK-", r"[A-Z0-9]{16,64}"),
    Kind("Notion", "ntn_", r"[A-Za-z0-9]{16,128}"),
    Kind("npm", "npm_", r"[A-Za-z0-9]{16,128}"),
    Kind("OpenAI", "sk-", r"(?:(?:proj|svcacct|admin|or-v1)-)?[\w-]{20,256}"),
    Kind("PagerDuty", "pdus+", r"[\w+-]{16,128}"),
    Kind("Plaid", "access-", r"(?:sandbox|development|production)-[0-9a-f-]{36}"),
    Kind("PlanetScale", "pscale_", r"(?:tkn|pw|oauth)_[\w.-]{16,128}"),
    Kind("Postman", "PMAK-", r"[0-9a-f-]{16,128}"),
    Kind("Pulumi", "pul-", r"[0-9a-f]{40}"),
    Kind("PyPI", "pypi-", r"[\w-]{16,512}"),
    Kind("Razorpay", "rzp_", r"(?:live|test)_[A-Za-z0-9]{12,64}"),
    Kind("RubyGems", "rubygems_", r"[0-9a-f]{16,128}"),
    Kind("SendGrid", "SG.", r"[\w-]{16,64}\.[\w-]{16,128}"),
    Kind("Sentry", "sntry", r"[su]_[\w=+/-]{16,512}"),
    Kind("Shopify", "shp", r"(?:at|ca|pa|ss|tka)_[0-9a-fA-F]{16,64}"),
    Kind("Slack", "hooks.slack.com/", r"[^\s\"'<>]{16,256}"),
    Kind("Slack", "xapp-", r"[\w-]{10,256}"),
    Kind("Slack", "xox", r"[a-z](?:\.xox[a-z])?-[\w-]{10,256}"),
    Kind("SonarQube", "sq", r"[apu]_[0-9a-f]{40}"),
    Kind("Square", "sq0", r"[a-z]{3}-[\w-]{16,128}"),
    Kind("Stripe", "sk_", r"(?:live|test)_\w{8,256}"),
    Kind("Stripe", "pk_", r"(?:live|test)_\w{8,256}"),
    Kind("Stripe", "rk_", r"(?:live|test)_\w{8,256}"),
    Kind("Stripe", "whsec_", r"[\w+/=]{16,256}"),
    Kind("Supabase", "sbp_", r"[0-9a-f]{16,128}"),
    Kind("Supabase", "sb_secret_", r"[\w-]{16,128}"),
    Kind("Tailscale", "tskey-", r"[\w-]{16,128}"),
    Kind("Telegram", "bot", r"\d{8,10}:[\w-]{30,48}"),
    Kind("Telegram", "", r"\d{8,10}:AA[\w-]{28,46}"),
    Kind("Twilio", "SK", r"[0-9a-f]{32}"),
    Kind("Vercel", "vc", r"[prkisa]_[A-Za-z0-9]{16,128}"),
    Kind("WordPress", "wpcom", r"[_-][\w-]{16,128}"),
)


@cache
def pattern() -> re.Pattern[str]:
    """Return what matches any of them, in a word of its own."""
    # A dot, a slash or a plus may be before a key; a letter is not.
    return re.compile(rf"(?<![A-Za-z0-9])(?:{_any(str)})(?![A-Za-z0-9])")


@cache
def folded_pattern() -> re.Pattern[str]:
    """Return what may match any of them in small letters, digits as 0."""
    return re.compile(
        _any(lambda text: re.sub(r"\d", "0", text.lower())), re.IGNORECASE
    )


def _any(written: Callable[[str], str]) -> str:
    """Return the kinds as one pattern, by their first sign: most places have none."""
    firsts: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind.begins:
            begins = written(kind.begins)
            rest = re.escape(begins[1:]) + kind.rest
            firsts.setdefault(re.escape(begins[0]), []).append(rest)
    kinds = [f"{first}(?:{'|'.join(rests)})" for first, rests in firsts.items()]
    return "|".join(kinds + [kind.rest for kind in KINDS if not kind.begins])
