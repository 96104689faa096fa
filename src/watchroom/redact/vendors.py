"""Keys and tokens that their vendors made recognisable, as data.

Each is what every one of the kind begins with, and a pattern of the rest. The forms
are the vendors' own words on their keys, as far as they publish them, and the partners'
of GitHub's secret scanning (docs.github.com, "Supported secret scanning patterns").
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


# Whose it is, what each begins with (in this case), and a pattern of the rest, bounded.
# Plain tuples, which are read with the module's code: importing costs nothing.
KINDS = (
    ("1Password", "ops_eyJ", r"[\w+/=-]{32,2048}"),
    ("Adobe", "p8e-", r"[\w-]{16,128}"),
    ("age", "AGE-SECRET-KEY-1", r"[0-9A-Z]{16,128}"),
    ("Airtable", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{32,64}"),
    ("Alibaba", "LTAI", r"(?=\w{0,20}\d)[A-Za-z0-9]{12,30}"),
    ("Amazon", "AKIA", r"[0-9A-Z]{12,32}"),
    ("Amazon", "ASIA", r"[0-9A-Z]{12,32}"),
    ("Amazon", "ABIA", r"[0-9A-Z]{12,32}"),
    ("Amazon", "ACCA", r"[0-9A-Z]{12,32}"),
    ("Amazon", "ABSK", r"[A-Za-z0-9+/=]{32,256}"),
    ("Amazon", "amzn.mws.", r"[0-9a-f]{8}-[0-9a-f-]{27}"),
    ("Amazon", "amzn1.oa2-cs.v1.", r"[0-9a-f]{64}"),
    ("Anthropic", "sk-ant-", r"[\w-]{16,256}"),
    ("Atlassian", "ATATT3", r"[\w=-]{16,512}"),
    ("Atlassian", "ATBB", r"[A-Za-z0-9]{16,64}"),
    ("Atlassian", "ATCTT3", r"[\w=-]{16,512}"),
    ("Brevo", "xkeysib-", r"[0-9a-f]{64}-\w{8,32}"),
    ("Buildkite", "bkua_", r"[0-9a-f]{32,64}"),
    ("CircleCI", "CCIPAT_", r"\w{16,128}"),
    ("Clojars", "CLOJARS_", r"[0-9a-f]{32,64}"),
    ("Cloudflare", "v1.0-", r"[0-9a-f]{24}-[0-9a-f]{64,256}"),
    ("Contentful", "CFPAT-", r"[\w-]{16,128}"),
    ("crates.io", "cio", r"[A-Za-z0-9]{32}"),
    ("Databricks", "dapi", r"[0-9a-f]{32}(?:-\d)?"),
    ("DigitalOcean", "dop_v1_", r"[0-9a-f]{16,128}"),
    ("DigitalOcean", "doo_v1_", r"[0-9a-f]{16,128}"),
    ("DigitalOcean", "dor_v1_", r"[0-9a-f]{16,128}"),
    ("Discord", "discord.com/api/webhooks/", r"\d{8,32}/[\w-]{16,128}"),
    ("Discord", "discordapp.com/api/webhooks/", r"\d{8,32}/[\w-]{16,128}"),
    ("Discord", "", r"[MNO][\w-]{22,27}\.[\w-]{6}\.(?=[\w-]{0,38}\d)[\w-]{27,40}"),
    ("Docker", "dckr_pat_", r"[\w-]{16,128}"),
    ("Docker", "dckr_oat_", r"[\w-]{16,128}"),
    ("Docker Swarm", "SWMTKN-1-", r"[a-z0-9]{32,64}-[a-z0-9]{20,32}"),
    ("Doppler", "dp.", r"(?:pt|st|ct|sa|scim|audit)\.[\w.-]{16,128}"),
    ("Dropbox", "sl.", r"[\w-]{100,1500}"),
    ("Dynatrace", "dt0", r"[a-z]\d\d\.[A-Z0-9]{16,32}\.[A-Z0-9]{32,128}"),
    ("EasyPost", "EZAK", r"[A-Za-z0-9]{16,128}"),
    ("Facebook", "EAA", r"[A-Za-z0-9]{40,512}"),
    ("Figma", "figd_", r"[\w-]{16,128}"),
    ("Figma", "figu_", r"[\w-]{16,128}"),
    ("Figma", "figo", r"[rh]?_[\w-]{20,128}"),
    ("Flutterwave", "FLWSECK", r"[\w-]{16,128}"),
    ("Fly", "fm", r"\da?_[A-Za-z0-9+/=]{16,2048}"),
    ("Fly", "fo1_", r"[\w-]{32,64}"),
    ("GitHub", "ghp_", r"\w{16,256}"),
    ("GitHub", "gho_", r"\w{16,256}"),
    ("GitHub", "ghu_", r"\w{16,256}"),
    ("GitHub", "ghs_", r"\w{16,256}"),
    ("GitHub", "ghr_", r"\w{16,256}"),
    ("GitHub", "github_pat_", r"\w{16,256}"),
    ("GitLab", "gl", r"(?:pat|dt|rt|cbt|ptt|soat|oas|ft|imt|agent)-[\w.-]{16,256}"),
    ("Google", "AIza", r"[\w-]{30,64}"),
    ("Google", "GOCSPX-", r"[\w-]{16,64}"),
    ("Google", "ya29.", r"[\w-]{16,2048}"),
    ("Google", "1//", r"0[\w-]{24,256}"),
    ("Grafana", "glsa_", r"\w{16,128}"),
    ("Grafana", "glc_", r"[\w=+/]{16,512}"),
    ("Grafana", "eyJrIjoi", r"[A-Za-z0-9+/=]{32,512}"),
    ("Groq", "gsk_", r"[A-Za-z0-9]{32,128}"),
    ("HashiCorp", "hvs.", r"[\w-]{16,256}"),
    ("HashiCorp", "hvb.", r"[\w-]{16,512}"),
    ("HashiCorp", "hvr.", r"[\w-]{16,256}"),
    ("HashiCorp", "", r"[A-Za-z0-9]{14}\.atlasv[0-9]\.[\w=-]{16,128}"),
    ("HashiCorp", "s.", r"(?=[A-Za-z]{0,23}\d)[A-Za-z0-9]{24}"),
    ("Heroku", "HRKU-", r"[\w-]{16,128}"),
    ("HubSpot", "pat-", r"[a-z]{2}\d-[0-9a-f-]{36}"),
    ("Hugging Face", "hf_", r"[A-Za-z0-9]{16,128}"),
    ("Hugging Face", "api_org_", r"[A-Za-z0-9]{16,128}"),
    ("JFrog", "AKCp", r"(?=[A-Za-z]{0,68}\d)[A-Za-z0-9]{40,96}"),
    ("JSON web token", "eyJ", r"[\w-]{8,1024}\.[\w-]{2,4096}\.[\w-]{0,4096}"),
    ("LangSmith", "lsv2_", r"(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("Linear", "lin_", r"(?:api|oauth|wh)_[\w-]{16,128}"),
    ("Mailchimp", "", r"[0-9a-f]{32}-us\d{1,2}"),
    ("Mailgun", "key-", r"[0-9a-f]{32}"),
    ("Mapbox", "sk.eyJ", r"[\w.-]{16,512}"),
    ("Mercado Pago", "APP_USR-", r"[0-9a-f-]{32,128}"),
    ("Microsoft Teams", "webhook.office.com/", r"[^\s\"'<>]{16,512}"),
    ("Netlify", "nfp_", r"[\w-]{16,128}"),
    ("New Relic", "NRAK-", r"[A-Z0-9]{16,64}"),
    ("New Relic", "NRII-", r"[\w-]{24,64}"),
    ("Notion", "ntn_", r"[A-Za-z0-9]{16,128}"),
    ("Notion", "secret_", r"[A-Za-z0-9]{43}"),
    ("npm", "npm_", r"[A-Za-z0-9]{16,128}"),
    ("NuGet", "oy2", r"[a-z0-9]{40,48}"),
    ("NVIDIA", "nvapi-", r"[\w-]{32,128}"),
    ("OpenAI", "sk-", r"(?:(?:proj|svcacct|admin|or-v1)-)?[\w-]{20,256}"),
    ("PagerDuty", "pdus+", r"[\w+-]{16,128}"),
    ("PASETO", "v", r"\d\.(?:local|public)\.[\w-]{16,4096}(?:\.[\w-]{1,512})?"),
    (
        "Password hash",
        "pbkdf2_sha",
        r"\d{1,3}\$\d{1,10}\$[^\s$\"']{1,64}\$[\w+/=]{16,128}",
    ),
    ("Password hash", "argon2", r"(?:id|i|d)?\$[^\s\"']{32,256}"),
    ("Password hash", "$argon2", r"(?:id|i|d)\$[^\s\"']{32,256}"),
    ("Password hash", "$2", r"[abxy]\$\d\d\$[./A-Za-z0-9]{53}"),
    (
        "Password hash",
        "$",
        r"[\dy]\$[^\s$\"']{1,64}(?:\$[^\s$\"']{1,64})?\$[./A-Za-z0-9]{22,128}",
    ),
    ("Perplexity", "pplx-", r"[A-Za-z0-9]{32,64}"),
    ("Plaid", "access-", r"(?:sandbox|development|production)-[0-9a-f-]{36}"),
    ("PlanetScale", "pscale_", r"(?:tkn|pw|oauth)_[\w.-]{16,128}"),
    ("PostHog", "ph", r"[cx]_[A-Za-z0-9]{32,64}"),
    ("Postman", "PMAK-", r"[0-9a-f-]{16,128}"),
    ("Prefect", "pn", r"[ub]_[A-Za-z0-9]{36}"),
    ("Pulumi", "pul-", r"[0-9a-f]{40}"),
    ("PyPI", "pypi-", r"[\w-]{16,512}"),
    ("Razorpay", "rzp_", r"(?:live|test)_[A-Za-z0-9]{12,64}"),
    ("Render", "rnd_", r"[A-Za-z0-9]{24,64}"),
    ("Replicate", "r8_", r"[A-Za-z0-9]{32,64}"),
    ("Resend", "re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,32}"),
    ("RubyGems", "rubygems_", r"[0-9a-f]{16,128}"),
    ("SendGrid", "SG.", r"[\w-]{16,64}\.[\w-]{16,128}"),
    ("Sentry", "sntry", r"[su]_[\w=+/-]{16,512}"),
    ("Shippo", "shippo_", r"(?:live|test)_[0-9a-f]{32,64}"),
    ("Shopify", "shp", r"(?:at|ca|pa|ss|tka)_[0-9a-fA-F]{16,64}"),
    ("Slack", "hooks.slack.com/", r"[^\s\"'<>]{16,256}"),
    ("Slack", "xapp-", r"[\w-]{10,256}"),
    ("Slack", "xox", r"[a-z](?:\.xox[a-z])?-[\w-]{10,256}"),
    ("SonarQube", "sq", r"[apu]_[0-9a-f]{40}"),
    ("Sourcegraph", "sgp_", r"(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}"),
    ("Square", "sq0", r"[a-z]{3}-[\w-]{16,128}"),
    ("Stripe", "sk_", r"(?:live|test)_\w{8,256}"),
    ("Stripe", "pk_", r"(?:live|test)_\w{8,256}"),
    ("Stripe", "rk_", r"(?:live|test)_\w{8,256}"),
    ("Stripe", "whsec_", r"[\w+/=]{16,256}"),
    ("Supabase", "sbp_", r"[0-9a-f]{16,128}"),
    ("Supabase", "sb_secret_", r"[\w-]{16,128}"),
    ("Tailscale", "tskey-", r"[\w-]{16,128}"),
    ("Tavily", "tvly-", r"(?:dev-|prod-)?[\w-]{24,64}"),
    ("Telegram", "bot", r"\d{8,10}:[\w-]{30,48}"),
    ("Telegram", "", r"\d{8,10}:AA[\w-]{28,46}"),
    ("Tencent", "AKID", r"(?=[A-Za-z]{0,31}\d)[A-Za-z0-9]{32}"),
    ("Twilio", "SK", r"[0-9a-f]{32}"),
    ("Typeform", "tfp_", r"[\w-]{32,128}"),
    ("Vercel", "vc", r"[prkisa]_[A-Za-z0-9]{16,128}"),
    ("Vercel", "vercel_", r"[A-Za-z0-9]{20,64}"),
    ("WakaTime", "waka_", r"[0-9a-f]{8}-[0-9a-f-]{27}"),
    ("WordPress", "wpcom", r"[_-][\w-]{16,128}"),
    ("xAI", "xai-", r"[A-Za-z0-9]{48,128}"),
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
    for _, begins_with, pattern_of_rest in KINDS:
        if begins_with:
            begins = written(begins_with)
            rest = re.escape(begins[1:]) + pattern_of_rest
            firsts.setdefault(re.escape(begins[0]), []).append(rest)
    kinds = [f"{first}(?:{'|'.join(rests)})" for first, rests in firsts.items()]
    return "|".join(kinds + [rest for _, begins, rest in KINDS if not begins])
