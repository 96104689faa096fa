"""Templates: the subset's answers, its refusals, and Prometheus as judge of both."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import yaml
from tests.support.ports import free_port
from tests.support.servers import get_json, running
from tests.support.waiting import until

from watchroom.errors import QuerySyntaxError
from watchroom.monitor.templates import (
    Context,
    ExpandError,
    Sample,
    Template,
    TemplateSyntaxError,
)

SERIES = {
    "job": "api",
    "instance": "web-1.example.com:9000",
    "route": "customers/<int:pk>/",
    "size": "2048",
    "word": "äpfel und birnen",
}
# Every construct of docs/decisions/0010, with inputs where implementations differ.
# Queries are sorted: Prometheus gives a plain selector in no order.
# fmt: off
# Not known to Debian's promtool 2.42.
SINCE_3 = [
    "{{ now }} {{ (toTime now).Year }}",
    '{{ urlQueryEscape "a b&c/ü~" }}',
    *[
        f"{{{{ $d := toDuration {seconds} }}}}{{{{ $d }}}} {{{{ $d.Hours }}}} "
        "{{ $d.Minutes }} {{ $d.Seconds }} {{ $d.Milliseconds }} {{ $d.String }}"
        for seconds in (0.0, 3600.0, 93784.5, -1.5, 0.0015, 0.000001, 59.9, 1e-9, 61.0)
    ],
]
TABLE = [
    *[
        f"{{{{ $t := toTime {seconds} }}}}{{{{ $t }}}} {{{{ $t.Year }}}} "
        "{{ $t.Month }} {{ $t.Day }} {{ $t.Hour }} {{ $t.Minute }} {{ $t.Second }} "
        "{{ $t.Weekday }} {{ $t.YearDay }} {{ $t.Unix }} {{ $t.UnixMilli }} "
        "{{ $t.Nanosecond }} {{ $t.UTC }} {{ $t.String }}"
        for seconds in (0.0, 1700000000.0, 1699999999.123, 4102444800.0, -86401.5)
    ],
    "{{ (toTime $value).Year }}",
    "{{ if eq (toTime 1700000000.0).Year 2023 }}then{{ end }}",
    "plain",
    "{{ $labels.job }} {{ .Labels.job }} {{ $.Labels.job }}",
    "{{ $value }} {{ .Value }}",
    "{{ $externalLabels.env }} {{ .ExternalLabels.env }}",
    "{{ $externalURL }} {{ .ExternalURL }}",
    "[{{ $labels.missing }}]",
    '{{ $labels.job | toUpper | printf "%s!" }}',
    '{{ title "high error-rate of a_b c" }} {{ toLower "ABC" }} {{ title $labels.word }}',  # noqa: E501 - one template
    '{{ reReplaceAll "web-(\\\\d)\\\\.(.*)" "$1/${2}" $labels.instance }}',
    '{{ reReplaceAll "(?P<a>b)" "<$a$x$$>" "abc" }}',
    '{{ if match "^web" $labels.instance }}yes{{ else }}no{{ end }}',
    '{{ match "x" "y" }}',
    '{{ if eq $labels.job "web" }}a{{ else if eq $labels.job "x" "api" }}b{{ end }}',
    "{{ if gt $value 100.0 }}big{{ else if ge $value 0.5 }}mid{{ else }}small{{ end }}",
    '{{ ne "a" "b" }} {{ lt 1 2 }} {{ le 2 2 }} {{ ge "b" "a" }} {{ not true }}',
    '{{ and 1 0 }} {{ or 0 "x" }} {{ and "a" "b" }} {{ or "" "" }}|',
    '{{ len $labels.word }} {{ len $labels }} {{ index $labels "job" }}',
    '{{ slice "abcdef" 1 3 }} {{ index (query "sort(y)") 1 | value }}',
    "{{ with $labels.job }}<{{ . }}>{{ end }}{{ with $labels.none }}x{{ else }}y{{ end }}",  # noqa: E501 - one template
    '{{ with $x := 5 }}{{ $x }}{{ end }}{{ $y := "a" }}{{ $y = "b" }}{{ $y }}',
    '{{ range query "sort(y)" }}{{ .Labels.n }}={{ .Value }} {{ end }}',
    '{{ range $i, $e := query "sort(y)" }}{{ $i }}:{{ $e.Labels.n }}:{{ $e | value }};{{ end }}',  # noqa: E501 - one template
    '{{ range $e := query "sort_desc(y)" | sortByLabel "n" }}{{ label "n" $e }} {{ end }}',  # noqa: E501 - one template
    '{{ range query "nothing" }}a{{ else }}none{{ end }}',
    '{{ range query "sort(y)" }}{{ if eq .Value 2.0 }}{{ continue }}{{ end }}{{ . }}{{ end }}',  # noqa: E501 - one template
    '{{ range query "sort(y)" }}{{ .Value }}{{ break }}{{ end }}',
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
    '{{ with query "sum(y)" }}{{ . | first | value | humanize }}{{ end }}',
    '{{ (query "sort(y)" | first).Value }} {{ (index (query "sort(y)") 0).Labels.n }}',
    '{{ query "sort(y)" | first | label "n" }}',
    '{{ query "1 + 1" | len }} {{ query "scalar(sum(y))" | first | value }}',
    '{{ printf "topk(%d, %s)" 3 "y" | query | len }}',
    '{{- /* a comment */ -}} trimmed {{- " " -}}  tail  {{- /* b */ -}}\n x',
    "{{ `raw \\n` }} {{ \"tab\\t\\u00e9\" }} {{ 'a' }} {{ 0x1F }} {{ 1e3 }} {{ -2 }}",
    "{{ true }} {{ $labels }} {{ 12345678.5 }} {{ 0.00001 }} {{ 100000.0 }} {{ 1e21 }}",
    '{{ print "a" 1 2 "b" 3.5 }} {{ println "x" 1 }}',
    '{{ html "<a href=\'x\'>&\\"" }} {{ urlquery "a b&c/é" }} {{ js "it\'s <=\\"\\n" }}',  # noqa: E501 - one template
    "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}",
    '{{ graphLink "up == 0" }} {{ tableLink "rate(x[5m])" }}',
    '{{ (args 1 "b").arg1 }} {{ safeHtml "<b>" }} {{ parseDuration "1h30m" }}',
    '{{ printf "%v %d %q %s|%5.1f|%-8s|%05d|%+d|%x|%X|%6.2f%%" 1.5 3 "a\\tb" "q" 3.14159 "ab" 42 7 "hi" 255 12.345 }}',  # noqa: E501 - one template
    '{{ printf "%d %s %z" 1.5 2 "x" }} {{ printf "%s" }} {{ printf "%s" "a" 1 }}',
    '{{ printf "%e %g %G %.3g %t %T %c %o %b %%" 1234.5678 1e-7 1e20 1234.5 true 1.5 65 8 5 }}',  # noqa: E501 - one template
    '{{ printf "%v %s" $labels "end" }}',
    '{{ printf "%.2f" $value }} {{ $value | printf "%.0f" }} {{ printf "%8.3f|%-8.1f|" 1.0 2.0 }}',  # noqa: E501 - one template
    "{{ $labels.size | humanize1024 }} {{ humanizeTimestamp 1700000000.5 }}",
    '{{ printf "%5t|%-6v|%06.1f|%06d|%+.2f|% d|%x|%5s|%.2s|%+v|%G" true nil 3.14159 -42 2.5 7 "é" "ab" "xyz" 1.5 1e-7 }}',  # noqa: E501 - one template
    '{{ printf "%q %q %d %v %s" "\\x01é\\u2028" 65 true false nil }} {{ printf "%f %e" 1.0 }}',  # noqa: E501 - one template
    '{{ printf "100%" }} {{ printf "%v %v" 1e300 -0.0 }} {{ index "abc" 1 }}',
    '{{ print nil true }} {{ print $labels.job $value }}{{ "" }}',
    '{{ range $labels }}{{ . }},{{ end }}{{ range query "nothing" }}x{{ else }}none{{ end }}',  # noqa: E501 - one template
    "{{ with 0 }}a{{ else }}b{{ end }}{{ if $labels }}c{{ end }}{{ not $labels.x }}",
    '{{ stripPort "[::1]:80" }} {{ stripPort "::1" }} {{ stripDomain "10.0.0.1:80" }}',
    '{{ stripDomain "a.b.c" }} {{ stripPort "host" }} {{ stripDomain "[::1]:80" }}',
    '{{ strvalue (query "sort(y)" | first) }}|{{ humanizePercentage "0.5" }} {{ len "é" }}',  # noqa: E501 - one template
    "{{ humanizeTimestamp 0 }} {{ humanizeTimestamp 1435065584.128 }}",
]
# fmt: on
NUMBERS = [
    0,
    1,
    -1,
    0.5,
    0.0123456,
    12.3456,
    999.95,
    1000,
    1234567,
    -1234567,
    1e-9,
    1e-30,
    1e30,
    59.99,
    60,
    61,
    3600,
    86399,
    90061.5,
    -0.25,
    1024,
    1536,
    1048576,
    123456789012,
    0.00099,
    7200.5,
]  # fmt: skip
FORMATS = ("humanize", "humanize1024", "humanizeDuration", "humanizePercentage")
_PAIR = re.compile(r'(t\d+)=("(?:[^"\\]|\\.)*")')
VECTOR = [("a", 1.5), ("b", 2.0), ("c", 1000000.0)]


def context(**changes):
    def query(expr):
        rows = [Sample({"__name__": "y", "n": n}, v) for n, v in VECTOR]
        known = {
            "y": rows,
            "sort(y)": rows,
            "sort_desc(y)": rows[::-1],
            "topk(3, y)": rows,
            "sum(y)": [Sample({}, sum(v for _, v in VECTOR))],
            "scalar(sum(y))": [Sample({}, sum(v for _, v in VECTOR))],
            "1 + 1": [Sample({}, 2.0)],
            "nothing": [],
        }
        if expr not in known:
            raise QuerySyntaxError(f"no {expr}")
        return known[expr]

    given = {
        "labels": {"__name__": "x", **SERIES},
        "value": 0.75,
        "external_labels": {"env": "prod"},
        "external_url": "http://prom.example:9090/base",
        "query": query,
    }
    return Context(**(given | changes))


def expand(text, **changes):
    return Template(text, "__alert_T").expand(context(**changes))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ nonsense 1 }}", "column 4: function 'nonsense' not defined"),
        ("a\nb {{ $x }}", "line 2, column 6: undefined variable '$x'"),
        ('{{ define "x" }}{{ end }}', "{{define}} is not supported here"),
        ('{{ template "x" . }}', "{{template}} is not supported here"),
        ('{{ block "x" . }}{{ end }}', "{{block}} is not supported here"),
        ("{{ if true }}a", "column 4: {{if}} has no {{end}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        ("{{ if }}a{{ end }}", "missing value for command"),
        ("{{ }}", "missing value for command"),
        ("{{ $value ", "unclosed action"),
        ('{{ "a }}', "unexpected '\"' in action"),
        ("{{/* a }}", "unclosed comment"),
        ("{{ 1 | 2 }}", "only a function takes arguments"),
        ("{{ if nil }}{{ end }}", "nil is not a command"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("{{ $x = 1 }}", "undefined variable '$x'"),
        ("{{ (len 1 }}", "unexpected '}}' in command"),
        ("{{ len 1) }}", "unexpected ')'"),
        ('{{ "a".x }}', "unexpected '.x'"),
        ("{{ range $i, $v, $w := . }}{{ end }}", "undefined variable '$i'"),
        ("{{ if true }}{{ $in := 1 }}{{ end }}{{ $in }}", "undefined variable '$in'"),
    ],
)
def test_what_is_not_of_the_subset_is_refused_when_it_is_read(text, said):
    with pytest.raises(TemplateSyntaxError) as caught:
        Template(text, "t")
    assert said in str(caught.value)
    assert "line" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{{ humanize "abc" }}',
            'error calling humanize: strconv.ParseFloat: parsing "abc"',
        ),
        ("{{ title $value }}", "expected string; got float64"),
        ('{{ query "nothing" | first }}', "first() called on vector with no elements"),
        ("{{ gt $value 1 }}", "incompatible types for comparison"),
        ('{{ query "bad(" }}', "error calling query"),
        ("{{ $value.x }}", "can't evaluate field x in float64"),
        ("{{ .Nothing }}", "can't evaluate field Nothing"),
        ('{{ reReplaceAll "(" "" "x" }}', "error calling reReplaceAll"),
        ("{{ len 3 }}", "error calling len"),
        ("{{ toUpper }}", "wrong number of args for toUpper"),
        ("{{ range $value }}{{ end }}", "range can't iterate over 0.75"),
        ("{{ index $labels 1 }}", "error calling index"),
    ],
)
def test_what_fails_while_expanding_becomes_the_text(text, said):
    found = expand(text)
    assert found.startswith(
        "<error expanding template: error executing template __alert_T"
    )
    assert said in found
    assert found.endswith(">")


def test_an_expansion_is_bounded():
    text = '{{ range query "y" }}' * 12 + "xxxxxxxx" + "{{ end }}" * 12
    with pytest.raises(ExpandError, match="over"):
        Template(text, "t").render(context())


@pytest.mark.judge("promtool")
def test_every_template_expands_as_in_prometheus(tmp_path):
    # Beyond 2**63 seconds Go's int64 wraps round; nothing to agree with.
    numbers = [(f, n) for n in NUMBERS for f in FORMATS if (f, n) != (FORMATS[2], 1e30)]
    said = subprocess.run(
        ["promtool", "--version"], capture_output=True, text=True, check=True
    )
    old = "version 2." in said.stdout
    texts = (
        TABLE + ([] if old else SINCE_3) + [f"{{{{ {f} {n!r} }}}}" for f, n in numbers]
    )
    annotations = {f"t{i:03}": text for i, text in enumerate(texts)}
    rules = {"groups": [{"name": "g", "rules": [
        {"alert": "T", "expr": "x > 0", "annotations": annotations}
    ]}]}  # fmt: skip
    (tmp_path / "r.yml").write_text(yaml.safe_dump(rules))
    labels = ",".join(f"{name}={json.dumps(v)}" for name, v in SERIES.items())
    case = {
        "rule_files": ["r.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "external_labels": {"env": "prod"},
                "external_url": "http://prom.example:9090/base",
                "input_series": [
                    {"series": f"x{{{labels}}}", "values": "0.75"},
                    *[{"series": f'y{{n="{n}"}}', "values": str(v)} for n, v in VECTOR],
                ],
                "alert_rule_test": [
                    {
                        "eval_time": "0m",
                        "alertname": "T",
                        "exp_alerts": [
                            {
                                "exp_labels": SERIES,
                                "exp_annotations": {
                                    k: expand(text) for k, text in annotations.items()
                                },
                            }
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "t.yml").write_text(yaml.safe_dump(case, allow_unicode=True))
    done = subprocess.run(
        ["promtool", "test", "rules", "t.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, _differences(done.stderr, annotations)


def _differences(said, annotations):
    """Return the templates on which promtool's two annotation lists differ."""
    lines = [line for line in said.splitlines() if "Annotations:{" in line]
    if len(lines) < 2:
        return said
    ours, theirs = (dict(_PAIR.findall(line)) for line in lines[:2])
    return "\n".join(
        f"{annotations[k]}\n  ours   {ours.get(k)}\n  theirs {theirs.get(k)}"
        for k in annotations
        if ours.get(k) != theirs.get(k)
    )


# promtool expands these with no external URL at all; a server has one.
SERVED = [
    "{{ externalURL }} {{ pathPrefix }} {{ $externalURL }}",
    '{{ $externalLabels.env }} {{ query "vector(2)" | first | value }} {{ $value }}',
    "{{ humanizeTimestamp $value }}",
]


@pytest.mark.judge("prometheus")
def test_external_url_and_labels_expand_as_in_a_prometheus_server(tmp_path):
    port = free_port()
    url = f"http://prom.example:{port}/base"
    annotations = {f"t{i}": text for i, text in enumerate(SERVED)}
    rule = {"alert": "T", "expr": "vector(3) > 0", "annotations": annotations}
    rules = {"groups": [{"name": "g", "rules": [rule]}]}
    (tmp_path / "r.yml").write_text(yaml.safe_dump(rules))
    server = {
        "global": {"evaluation_interval": "1s", "external_labels": {"env": "prod"}},
        "rule_files": ["r.yml"],
    }
    (tmp_path / "p.yml").write_text(yaml.safe_dump(server))
    with running(
        "prometheus",
        "--config.file=p.yml",
        "--storage.tsdb.path=tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url={url}",
        cwd=tmp_path,
    ):
        (alert,) = until(
            lambda: get_json(f"http://127.0.0.1:{port}/base/api/v1/alerts")["data"][
                "alerts"
            ],
            seconds=20,
        )
    ours = {
        name: expand(
            text,
            labels={},
            value=3.0,
            external_url=url,
            query=lambda _: [Sample({}, 2.0)],
        )
        for name, text in annotations.items()
    }
    assert alert["annotations"] == ours
