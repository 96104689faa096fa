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
    Kind("1Password", "ops_eyJ", r"[\w+/=-]{32,2048}"),
    Kind("Adobe", "p8e-", r"[\w-]{16,128}"),
    Kind("age", "AGE-SECRET-KEY-1", r"[0-9A-Z]{16,128}"),
    Kind("Airtable", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{32,64}"),
    Kind("Alibaba", "LTAI", r"(?=\w{0,20}\d)[A-Za-z0-9]{12,30}"),
    Kind("Amazon", "AKIA", r"[0-9A-Z]{12,32}"),
    Kind("Amazon", "ASIA", r"[0-9A-Z]{12,32}"),
    Kind("Amazon", "ABIA", r"[0-9A-Z]{12,32}"),
    Kind("Amazon", "ACCA", r"[0-9A-Z]{12,32}"),
    Kind("Amazon", "ABSK", r"[A-Za-z0-9+/=]{32,256}"),
    Kind("Amazon", "amzn.mws.", r"[0-9a-f]{8}-[0-9a-f-]{27}"),
    Kind("Amazon", "amzn1.oa2-cs.v1.", r"[0-9a-f]{64}"),
    Kind("Anthropic", "sk-ant-", r"[\w-]{16,256}"),
    Kind("Atlassian", "ATATT3", r"[\w=-]{16,512}"),
    Kind("Atlassian", "ATBB", r"[A-Za-z0-9]{16,64}"),
    Kind("Atlassian", "ATCTT3", r"[\w=-]{16,512}"),
    Kind("Brevo", "xkeysib-", r"[0-9a-f]{64}-\w{8,32}"),
    Kind("Buildkite", "bkua_", r"[0-9a-f]{32,64}"),
    Kind("CircleCI", "CCIPAT_", r"\w{16,128}"),
    Kind("Clojars", "CLOJARS_", r"[0-9a-f]{32,64}"),
    Kind("Cloudflare", "v1.0-", r"[0-9a-f]{24}-[0-9a-f]{64,256}"),
    Kind("Contentful", "CFPAT-", r"[\w-]{16,128}"),
    Kind("crates.io", "cio", r"[A-Za-z0-9]{32}"),
    Kind("Databricks", "dapi", r"[0-9a-f]{32}(?:-\d)?"),
    Kind("DigitalOcean", "dop_v1_", r"[0-9a-f]{16,128}"),
    Kind("DigitalOcean", "doo_v1_", r"[0-9a-f]{16,128}"),
    Kind("DigitalOcean", "dor_v1_", r"[0-9a-f]{16,128}"),
    Kind("Discord", "discord.com/api/webhooks/", r"\d{8,32}/[\w-]{16,128}"),
    Kind("Discord", "discordapp.com/api/webhooks/", r"\d{8,32}/[\w-]{16,128}"),
    Kind("Discord", "", r"[MNO][\w-]{22,27}\.[\w-]{6}\.(?=[\w-]{0,38}\d)[\w-]{27,40}"),
    Kind("Docker", "dckr_pat_", r"[\w-]{16,128}"),
    Kind("Docker", "dckr_oat_", r"[\w-]{16,128}"),
    Kind("Docker Swarm", "SWMTKN-1-", r"[a-z0-9]{32,64}-[a-z0-9]{20,32}"),
    Kind("Doppler", "dp.", r"(?:pt|st|ct|sa|scim|audit)\.[\w.-]{16,128}"),
    Kind("Dropbox", "sl.", r"[\w-]{100,1500}"),
    Kind("Dynatrace", "dt0", r"[a-z]\d\d\.[A-Z0-9]{16,32}\.[A-Z0-9]{32,128}"),
    Kind("EasyPost", "EZAK", r"[A-Za-z0-9]{16,128}"),
    Kind("Facebook", "EAA", r"[A-Za-z0-9]{40,512}"),
    Kind("Figma", "figd_", r"[\w-]{16,128}"),
    Kind("Figma", "figu_", r"[\w-]{16,128}"),
    Kind("Figma", "figo", r"[rh]?_[\w-]{20,128}"),
    Kind("Flutterwave", "FLWSECK", r"[\w-]{16,128}"),
    Kind("Fly", "fm", r"\da?_[A-Za-z0-9+/=]{16,2048}"),
    Kind("Fly", "fo1_", r"[\w-]{32,64}"),
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
    Kind("Google", "1//", r"0[\w-]{24,256}"),
    Kind("Grafana", "glsa_", r"\w{16,128}"),
    Kind("Grafana", "glc_", r"[\w=+/]{16,512}"),
    Kind("Grafana", "eyJrIjoi", r"[A-Za-z0-9+/=]{32,512}"),
    Kind("Groq", "gsk_", r"[A-Za-z0-9]{32,128}"),
    Kind("HashiCorp", "hvs.", r"[\w-]{16,256}"),
    Kind("HashiCorp", "hvb.", r"[\w-]{16,512}"),
    Kind("HashiCorp", "hvr.", r"[\w-]{16,256}"),
    Kind("HashiCorp", "", r"[A-Za-z0-9]{14}\.atlasv[0-9]\.[\w=-]{16,128}"),
    Kind("HashiCorp", "s.", r"(?=[A-Za-z]{0,23}\d)[A-Za-z0-9]{24}"),
    Kind("Heroku", "HRKU-", r"[\w-]{16,128}"),
    Kind("HubSpot", "pat-", r"[a-z]{2}\d-[0-9a-f-]{36}"),
    Kind("Hugging Face", "hf_", r"[A-Za-z0-9]{16,128}"),
    Kind("Hugging Face", "api_org_", r"[A-Za-z0-9]{16,128}"),
    Kind("JFrog", "AKCp", r"(?=[A-Za-z]{0,68}\d)[A-Za-z0-9]{40,96}"),
    Kind("JSON web token", "eyJ", r"[\w-]{8,1024}\.[\w-]{2,4096}\.[\w-]{0,4096}"),
    Kind("LangSmith", "lsv2_", r"(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    Kind("Linear", "lin_", r"(?:api|oauth|wh)_[\w-]{16,128}"),
    Kind("Mailchimp", "", r"[0-9a-f]{32}-us\d{1,2}"),
    Kind("Mailgun", "key-", r"[0-9a-f]{32}"),
    Kind("Mapbox", "sk.eyJ", r"[\w.-]{16,512}"),
    Kind("Mercado Pago", "APP_USR-", r"[0-9a-f-]{32,128}"),
    Kind("Microsoft Teams", "webhook.office.com/", r"[^\s\"'<>]{16,512}"),
    Kind("Netlify", "nfp_", r"[\w-]{16,128}"),
    Kind("New Relic", "NRAK-", r"[A-Z0-9]{16,64}"),
    Kind("New Relic", "NRII-", r"[\w-]{24,64}"),
    Kind("Notion", "ntn_", r"[A-Za-z0-9]{16,128}"),
    Kind("Notion", "secret_", r"[A-Za-z0-9]{43}"),
    Kind("npm", "npm_", r"[A-Za-z0-9]{16,128}"),
    Kind("NuGet", "oy2", r"[a-z0-9]{40,48}"),
    Kind("NVIDIA", "nvapi-", r"[\w-]{32,128}"),
    Kind("OpenAI", "sk-", r"(?:(?:proj|svcacct|admin|or-v1)-)?[\w-]{20,256}"),
    Kind("PagerDuty", "pdus+", r"[\w+-]{16,128}"),
    Kind("PASETO", "v", r"\d\.(?:local|public)\.[\w-]{16,4096}(?:\.[\w-]{1,512})?"),
    Kind(
        "Password hash",
        "pbkdf2_sha",
        r"\d{1,3}\$\d{1,10}\$[^\s$\"']{1,64}\$[\w+/=]{16,128}",
    ),
    Kind("Password hash", "argon2", r"(?:id|i|d)?\$[^\s\"']{32,256}"),
    Kind("Password hash", "$argon2", r"(?:id|i|d)\$[^\s\"']{32,256}"),
    Kind("Password hash", "$2", r"[abxy]\$\d\d\$[./A-Za-z0-9]{53}"),
    Kind(
        "Password hash",
        "$",
        r"[\dy]\$[^\s$\"']{1,64}(?:\$[^\s$\"']{1,64})?\$[./A-Za-z0-9]{22,128}",
    ),
    Kind("Perplexity", "pplx-", r"[A-Za-z0-9]{32,64}"),
    Kind("Plaid", "access-", r"(?:sandbox|development|production)-[0-9a-f-]{36}"),
    Kind("PlanetScale", "pscale_", r"(?:tkn|pw|oauth)_[\w.-]{16,128}"),
    Kind("PostHog", "ph", r"[cx]_[A-Za-z0-9]{32,64}"),
    Kind("Postman", "PMAK-", r"[0-9a-f-]{16,128}"),
    Kind("Prefect", "pn", r"[ub]_[A-Za-z0-9]{36}"),
    Kind("Pulumi", "pul-", r"[0-9a-f]{40}"),
    Kind("PyPI", "pypi-", r"[\w-]{16,512}"),
    Kind("Razorpay", "rzp_", r"(?:live|test)_[A-Za-z0-9]{12,64}"),
    Kind("Render", "rnd_", r"[A-Za-z0-9]{24,64}"),
    Kind("Replicate", "r8_", r"[A-Za-z0-9]{32,64}"),
    Kind("Resend", "re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,32}"),
    Kind("RubyGems", "rubygems_", r"[0-9a-f]{16,128}"),
    Kind("SendGrid", "SG.", r"[\w-]{16,64}\.[\w-]{16,128}"),
    Kind("Sentry", "sntry", r"[su]_[\w=+/-]{16,512}"),
    Kind("Shippo", "shippo_", r"(?:live|test)_[0-9a-f]{32,64}"),
    Kind("Shopify", "shp", r"(?:at|ca|pa|ss|tka)_[0-9a-fA-F]{16,64}"),
    Kind("Slack", "hooks.slack.com/", r"[^\s\"'<>]{16,256}"),
    Kind("Slack", "xapp-", r"[\w-]{10,256}"),
    Kind("Slack", "xox", r"[a-z](?:\.xox[a-z])?-[\w-]{10,256}"),
    Kind("SonarQube", "sq", r"[apu]_[0-9a-f]{40}"),
    Kind("Sourcegraph", "sgp_", r"(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}"),
    Kind("Square", "sq0", r"[a-z]{3}-[\w-]{16,128}"),
    Kind("Stripe", "sk_", r"(?:live|test)_\w{8,256}"),
    Kind("Stripe", "pk_", r"(?:live|test)_\w{8,256}"),
    Kind("Stripe", "rk_", r"(?:live|test)_\w{8,256}"),
    Kind("Stripe", "whsec_", r"[\w+/=]{16,256}"),
    Kind("Supabase", "sbp_", r"[0-9a-f]{16,128}"),
    Kind("Supabase", "sb_secret_", r"[\w-]{16,128}"),
    Kind("Tailscale", "tskey-", r"[\w-]{16,128}"),
    Kind("Tavily", "tvly-", r"(?:dev-|prod-)?[\w-]{24,64}"),
    Kind("Telegram", "bot", r"\d{8,10}:[\w-]{30,48}"),
    Kind("Telegram", "", r"\d{8,10}:AA[\w-]{28,46}"),
    Kind("Tencent", "AKID", r"(?=[A-Za-z]{0,31}\d)[A-Za-z0-9]{32}"),
    Kind("Twilio", "SK", r"[0-9a-f]{32}"),
    Kind("Typeform", "tfp_", r"[\w-]{32,128}"),
    Kind("Vercel", "vc", r"[prkisa]_[A-Za-z0-9]{16,128}"),
    Kind("Vercel", "vercel_", r"[A-Za-z0-9]{20,64}"),
    Kind("WakaTime", "waka_", r"[0-9a-f]{8}-[0-9a-f-]{27}"),
    Kind("WordPress", "wpcom", r"[_-][\w-]{16,128}"),
    Kind("xAI", "xai-", r"[A-Za-z0-9]{48,128}"),
)


@cache
def pattern() -> re.Pattern[str]:
    """Return what matches any of them, in a word of its own."""
    # A dot, a slash or a plus may be before a key; a letter is not.
    return re.compile(rf"(?<![A-Za-z0-9])(?:{_any(str)})(?![A-Za-z0-9])", re.ASCII)


@cache
def folded_pattern() -> re.Pattern[str]:
    """Return what may match any of them in small letters, digits as 0."""
    return re.compile(
        _any(lambda text: re.sub(r"\d", "0", text.lower())), re.IGNORECASE | re.ASCII
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
