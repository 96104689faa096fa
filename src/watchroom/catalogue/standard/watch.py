"""The watch itself: is the app there, is the site there, and are we looking at all?"""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    ChecklistItem,
    Drill,
    Panel,
    Query,
    Runbook,
    Vital,
)
from watchroom.catalogue.standard import below

_HOST = "sum by (job, instance)"
_WEB = 'watchroom_processes{role="web"}'

_PROCESSES_CHARTS = (
    Chart(
        title="Processes",
        description="Live processes of the app by what they do.",
        row="The watch",
        queries=(
            Query(
                "sum by (role) (min_over_time("
                "watchroom_processes{$targets}[$rate_interval]))",
                "{{role}}",
            ),
        ),
        decimals=0,
    ),
)

_SITES_CHARTS = (
    Chart(
        title="Public sites, time to answer",
        description=(
            "How long a visitor waits for the public URLs, probed at each scrape."
        ),
        row="The watch",
        queries=(
            Query(
                "max by (instance)"
                " (max_over_time(probe_duration_seconds{$targets}[$rate_interval]))",
                "{{instance}}",
            ),
        ),
        unit="s",
    ),
)

_TARGETS_CHARTS = (
    Chart(
        title="Time to read a target",
        description="How long scrapes take; near the interval, samples are lost.",
        row="The watch",
        queries=(
            Query(
                "max by (job, instance)"
                " (max_over_time(scrape_duration_seconds{$targets}[$rate_interval]))",
                "{{job}} {{instance}}",
            ),
        ),
        unit="s",
    ),
)

APP_DOWN = Vital(
    title="Web processes",
    charts=_PROCESSES_CHARTS,
    metrics=("watchroom_processes", "health_livez"),
    group="watch",
    symptom_of=below.HOST,
    limit=1,
    alerts=(
        Alert(
            name="AppDown",
            # Processes may live and serve nothing. A host of workers, beat or cron alone
            # is not down while another serves: one that serves the web was seen to
            # today, or has answered requests, whenever the monitor was started.
            expr=(
                f"({_HOST} ({_WEB}) == 0 or min by (job, instance) (health_livez) == 0)"
                f" and on (job, instance) ({_HOST} (max_over_time({_WEB}[1d])) > 0"
                f" or {_HOST} (http_requests_total) > 0 unless on (job, instance)"
                f' {_HOST} (watchroom_processes{{role="worker"}}) > 0'
                f" or {_HOST} ({_WEB}) unless on (job) sum by (job) ({_WEB}) > 0)"
            ),
            for_="1m",
            severity="critical",
            priority="P1",
            summary="No web process of {{ $labels.job }} serves on {{ $labels.instance }}",
            description=(
                "The exporter is alive and for $for_words counts no web process, or gets "
                "no answer to /livez: the app server is dead, hangs or was never started."
            ),
            runbook=Runbook(
                meaning=(
                    "The exporter answers, and for $for_words the files of the app's "
                    "processes say that no web process lives, or /livez at "
                    'WATCHROOM["HEALTH"]["url"] is refused, times out or is a 5xx.'
                ),
                impact="Nobody is served. The proxy answers 502 or nothing at all.",
                diagnosis="""\
Which processes live, by role and host:

```promql
watchroom_processes
```

Do they serve? 0 beside living processes: all of them hang or are busy.

```promql
health_livez
```

```sh
curl -s $exporter/metrics | grep -E 'watchroom_processes|health_livez'
pgrep -af 'gunicorn|uvicorn|uwsgi|granian' || echo none
```

Why it died: the service's last lines, and the kernel's if memory ran out:

```sh
journalctl -n 100 --no-pager -u YOUR-APP.service
dmesg --ctime | grep -i -E 'killed process|out of memory' | tail
```

Processes run and are not counted? They and the exporter use different runtime
directories (another user, PrivateTmp, another WATCHROOM_RUNTIME_DIR), or
WATCHROOM_ENABLED=0 is set.""",
                mitigation="""\
- Start the app server; if it will not start, roll back the last deploy.
- They live and do not answer: restart them; `py-spy dump --pid PID` before it says why.
- Killed for memory: start it with fewer workers, then find what grew.
- Put up a maintenance page at the proxy while it takes longer than minutes.
- This host shall serve no web any more: stop its exporter, remove its runtime directory,
  and silence AppDown for a day.""",
            ),
            drill=Drill(
                fault=('watchroom_processes{role="web"} 0+0x$steps',),
                recovery=('watchroom_processes{role="web"} 2+0x$steps',),
                calm=(
                    'watchroom_processes{role="web"} 1+0x$steps',
                    'watchroom_processes{role="worker"} 0+0x$steps',
                    "health_livez 1+0x$steps",
                ),
            ),
        ),
    ),
    panel=Panel(
        expr='min(sum by (job) (watchroom_processes{$real,role="web"}))',
        presence='count(watchroom_processes{$real,role="web"})',
        bad="below",
        decimals=0,
    ),
    blind=Blind(
        name="ProcessesUnobserved",
        priority="P2",
        why=(
            "The exporter always counts the web processes, if only as 0. Without that, "
            "something else answers in its place, or the samples are dropped."
        ),
        remedy=(
            "- Another program answers on the exporter's port: stop it, start the "
            "exporter.\n"
            "- A relabelling of your own drops the metric: look at the job in "
            "prometheus.yml."
        ),
    ),
)

SITE_DOWN = Vital(
    title="Public site answers",
    charts=_SITES_CHARTS,
    metrics=("probe_success",),
    group="watch",
    symptom_of=below.HOST,
    limit=1,
    needs="sites",
    alerts=(
        Alert(
            name="SiteDown",
            expr="min by (job, instance) (probe_success) == 0",
            for_="1m",
            severity="critical",
            priority="P1",
            summary="{{ $labels.instance }} does not answer",
            description=(
                "Every probe of {{ $labels.instance }} has failed for $for_words: "
                "refused, timed out, or answered with an error."
            ),
            runbook=Runbook(
                meaning=(
                    "The exporter asks the public URL at every scrape, the way a "
                    "visitor does. For $for_words no answer was good."
                ),
                impact="Visitors cannot reach the site, whatever the app itself says.",
                diagnosis="""\
Which sites, and how long a probe takes:

```promql
probe_success == 0
```

```promql
probe_duration_seconds
```

Ask yourself, from the exporter's machine and from elsewhere:

```sh
curl -sv -o /dev/null --max-time 10 YOUR-SITE
curl -s "$exporter/probe?target=YOUR-SITE&module=http_2xx" | grep -v '^#'
```

AppDown fires too: the app server is dead, start there. It does not: look at the proxy,
DNS, the certificate and the network between.""",
                mitigation="""\
- The app is down: see the runbook AppDown.
- The certificate expired: renew it and reload the proxy.
- The proxy has no healthy backend: compare its health check with what the app answers.
- DNS: undo the last change; remember its time to live.""",
            ),
            drill=Drill(
                fault=("probe_success 0+0x$steps",),
                recovery=("probe_success 1+0x$steps",),
                calm=("probe_success 1+0x$steps",),
            ),
        ),
    ),
    panel=Panel(
        expr="min(probe_success{$real})",
        presence="count(probe_success{$real})",
        unit="bool_yes_no",
        bad="below",
        decimals=0,
    ),
    blind=Blind(
        name="SiteUnobserved",
        job="site",
        priority="P2",
        why=(
            "The app's exporter is read, and no probe of a public site is. The job "
            "`site` is missing, its probes are refused, or they take longer than a "
            "scrape may:\n\n"
            '```promql\nup{job="site"}\n```'
        ),
        remedy=(
            "- There is no job `site`: build with WATCHROOM['SITES'], reload the "
            "monitor.\n"
            "- The exporter refuses: it reads SITES when it starts; restart it."
        ),
    ),
)

_TARGET_RUNBOOK = Runbook(
    meaning=(
        "The monitor could not read the metrics of a target for $for_words: refused, "
        "timed out, or unreadable. It pages for the app's exporter; other targets warn."
    ),
    impact=(
        "Blindness, not failure: the app may be well, but its alerts cannot fire "
        "until this ends."
    ),
    diagnosis="""\
Which targets, and since when:

```promql
up == 0
```

```promql
min_over_time(up[15m])
```

Ask the target as the monitor does:

```sh
curl -sv -o /dev/null --max-time 5 $exporter/metrics
```

The monitor's own words about it are in the column `lastError`:

```sh
curl -s $monitor/api/v1/targets | python3 -m json.tool | grep -E 'scrapeUrl|lastError|"health"'
```
""",
    mitigation="""\
- The exporter is dead: start it again; the totals survive in the runtime directory.
- It moved: correct WATCHROOM["EXPORTER"], build, and reload the monitor.
- It is too slow: look for what fills the machine, or raise the interval.""",
)

TARGET_DOWN = Vital(
    title="Targets down",
    charts=_TARGETS_CHARTS,
    metrics=("up",),
    group="watch",
    symptom_of=below.HOST,
    limit=0,
    alerts=(
        Alert(
            name="TargetDown",
            # Drills stand for the app here, so that the rule that pages is the one
            # that is proven.
            expr='up{job=~"app|drill-.+"} == 0',
            for_="1m",
            severity="critical",
            priority="P1",
            summary="{{ $labels.job }} on {{ $labels.instance }} cannot be read",
            description=(
                "The app's exporter has not answered for $for_words, so no other "
                "alert of the app can fire."
            ),
            runbook=_TARGET_RUNBOOK,
            drill=Drill(
                fault=("down",),
                calm=('watchroom_processes{role="web"} 1+0x$steps',),
            ),
        ),
        Alert(
            name="TargetDown",
            expr='up{job!~"app|drill-.+"} == 0',
            for_="3m",
            severity="warning",
            priority="P2",
            summary="{{ $labels.job }} on {{ $labels.instance }} cannot be read",
            description=(
                "The target {{ $labels.instance }} of the job {{ $labels.job }} has "
                "not answered for $for_words; alerts made from it cannot fire."
            ),
            runbook=_TARGET_RUNBOOK,
            drill=Drill.none(
                "its rule leaves drills out; the rule of the same name for the app "
                "is drilled, and this one is proven by its unit test",
                fault=('up{job="postgres",instance="db:9187"} 0+0x$steps',),
                calm=('up{job="postgres",instance="db:9187"} 1+0x$steps',),
                labels={"instance": "db:9187"},
            ),
        ),
    ),
    panel=Panel(
        expr="count(up{$real} == 0) or vector(0)",
        presence="count(up{$real})",
        decimals=0,
    ),
    checklist=ChecklistItem("scraping", "Prometheus running and scraping its targets"),
)

APP_ABSENT = Vital(
    title="App configured",
    metrics=("up",),
    group="watch",
    alerts=(
        Alert(
            name="AppAbsent",
            expr='absent(up{job="app"})',
            for_="3m",
            severity="critical",
            priority="P1",
            summary="The monitor watches no target of the job {{ $labels.job }}",
            description=(
                "No target of the job {{ $labels.job }} has been configured or "
                "discovered for $for_words: nothing about the app can alert."
            ),
            runbook=Runbook(
                meaning=(
                    "There is no target of the app's job, not even one that fails, "
                    "for $for_words. A target that fails is TargetDown."
                ),
                impact="The app is not watched at all; it may be down and nobody is told.",
                diagnosis="""\
Which jobs there are:

```promql
count by (job) (up)
```

```sh
curl -s $monitor/api/v1/targets | python3 -m json.tool | grep scrapePool
curl -s $monitor/api/v1/status/config | grep -o 'job_name: [a-z]*'
```
""",
                mitigation="""\
- prometheus.yml was replaced or edited: build it again and reload the monitor.
- Discovery finds nothing: look at its source, then at the matchers of `--select`.""",
            ),
            drill=Drill.none(
                "no drill target can show that the app's own targets are missing; "
                "proven by the rule's unit test",
                calm=('up{job="app",instance="localhost:9000"} 0+0x$steps',),
                labels={"job": "app"},
            ),
        ),
    ),
)

WATCHDOG = Vital(
    title="Watchdog",
    metrics=(),
    group="watch",
    alerts=(
        Alert(
            name="Watchdog",
            expr="vector(1)",
            for_="0s",
            severity="none",
            priority="none",
            summary="The watch is alive",
            description=(
                "This alert always fires. Whoever stops receiving it knows that the "
                "monitor, its rules or its notifications are dead."
            ),
            runbook=Runbook(
                meaning="Rules are evaluated and alerts are routed. It always fires.",
                impact="None while it fires. When it stops, nobody will be paged.",
                diagnosis="""\
Is it firing, according to the monitor?

```promql
ALERTS{alertname="Watchdog"}
```

```sh
curl -s $monitor/-/healthy
curl -s $monitor/api/v1/alerts | python3 -m json.tool | grep -A2 Watchdog
```
""",
                mitigation="""\
- The monitor is dead: start it; its pending alerts and pages survive a restart.
- It runs and sends nothing: run `watchroom drill HighErrorRate`, which names the stage
  that is broken.""",
            ),
            drill=Drill.none("it always fires: its arrival is the proof"),
        ),
    ),
)

VITALS = (APP_DOWN, SITE_DOWN, TARGET_DOWN, APP_ABSENT, WATCHDOG)
