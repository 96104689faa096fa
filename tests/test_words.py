"""What people read is plain English, in the words of docs/glossary.md."""

from __future__ import annotations

import re
from functools import partial

import pytest
from tests.support import words

# A phrase that nobody outside this project would write, and what to write instead.
RETIRED = {
    # Verbs of state that English doesn't have, and pronouns without a noun.
    r"\btells? of\b": "names the thing: an alert for …, an incident about …",
    r"\b(is|are|was|were|nobody else) told\b|\btold, ": "is notified",
    r"\bis said\b|\bnot said again\b|\bis not said\b": "is sent, is shown",
    r"\bstands? (in|below|above|there|here|at)\b": "is in, is listed below",
    r"\bstands here\b|\bas it stands\b|\bthen stands\b": "as it is",
    r"\bis over\b(?! a\b| \d)|\bover after\b": "is resolved, has ended",
    r"\b(is|are|was) none\b(?!,? (of|yet))": "isn't one",
    r"(?<!there )\bis no (?!longer\b|more\b|data\b)": "isn't a …",
    r"\bone that fails\b": "name it",
    r"\bwaits? for an answer\b": "is not acknowledged",
    r"\banswers? for three days\b": "works for three days",
    r"\bthat is meant\b": "that selects …",
    r"\bthat rests on\b": "also required",
    r"\bas it came\b": "raw, unchanged",
    r"\bas (they are|configured) now\b": "in its current form, current settings",
    r"\bwill not do\b": "is invalid",
    r"\bin vain\b": "gets no result",
    r"\bstays? in force\b|\bin force\b": "remains active, active",
    r"\bwhere the monitor runs\b": "on the server",
    r"\balive (now|too)\b": "running",
    r"\buntil it does\b": "until rules are evaluated again",
    r"\bthe watch (began|runs|is)\b": "the monitor …",
    # Of alerts and runbooks, as they were.
    r"\band none (counts|has|is (timed|read))\b": "but none of them …",
    r"\bheld back\b": "inhibited",
    r"\bwhatever happens\b|\bin its own words\b|\bin mid-talk\b": "leave it out",
    r"\bhas said for\b|\bnobody says so\b": "has reported … for, no other alert fires",
    r"\bmend it\b": "what to do",
    r"\bgives? it (some|room)\b": "free some first",
    r"\bas the app tells\b": "as the app reports it",
    r"\banswers only \{": "only … are hits",
    r"\bwill not last the month\b": "runs out before the month ends",
    # Actors.
    r"\bwhoever\b": "anyone who, the person who",
    r"\bsomebody\b": "a contact, someone",
    r"\bstrangers?\b": "unauthenticated clients",
    r"\bfrom everybody\b": "for every receiver",
    r"\bnobody (listens|stands|answers|looks)\b": "isn't set up, isn't acknowledged",
    r"\bnobody is called\b|\bnobody was woken\b": "no contact named, drill stopped at",
    r"\breaches no person\b": "notifies nobody",
    # The sentences that began this list, as they were.
    r"\bthat is not it\b": "Wrong token",
    r"\basks for its token\b": "Log in",
    r"\bnext word follows\b": "Next update in 30 minutes",
    r"\bhave trouble with\b|\bthe trouble with\b": "a problem with",
    r"\b(now|at once), in \{\}|\bnow, in \d": "scraped just now, took …",
    r"\bwhat you do\b": "What are you doing about it?",
    r"\bnone of [^.]{1,30} fires\b": "No alerts firing (… rules)",
    r"\bno(t| is) good news\b": "hides problems",
    r"\bproves? no\b": "can't be confirmed",
    r"\bwhat is going on now\b": "Current status",
    r"\banswered with (\d(?!xx)|\{)": "Error 404",
    r"\bis not one of ours\b|\bmessage was cut\b": "isn't valid",
    r"\bthere (is|are) none\b": "No … configured",
    r"\bnobody is told\b|\btold of anything\b": "nobody will be paged",
    r"\btells, without hurry\b|\bwithout hurry\b": "not urgent",
    r"\blast try that fails\b": "the final failure",
    r"\bwhose edge is the limit\b|\bnothing is estimated\b": "the count is exact",
    r"\blost ones had none\b|\bevery answer by its\b": "Responses by status",
    r"\btime to read a target\b": "Scrape duration",
    r"\bpictures of now\b|\bloads again to show\b": "static; reloads to refresh",
    r"\bis no time\b": "isn't a valid time",
    r"\bof every rate\b": "Rate window for every rule",
    r"\blose edits of\b": "Overwrite",
    r"\ba (seventh|twelfth) of what\b": "1/7 of",
    r"\btheir look in grafana\b": "rendering in Grafana",
    r"\bfiles read\b": "Config loaded",
    r"--url names another\b": "use --url for another",
    r"\bdoes not answer\b": "can't be reached",
}
# Further kinds, in what users read; docstrings and comments still have many of them.
ALSO_RETIRED = {
    r"\banew\b": "again, from the beginning",
    r"(^|[.;] )of (what|whatever|every|each|headers|an?|those)\b": "turn it: "
    "'Only harmless headers are sent', not 'Of headers only …'",
    r"\bwants? (an?|the|its|their|no|\d+)\b": "needs",
    r"\bhears? (of|nothing|every|about)\b|\b(is|are|was) heard\b": "gets, is notified",
    r"\bowe[sd]?\b": "is due, is undelivered",
    r"\b(is|are|was|be|went|goes|when) blind\b": "has no data",
    r"\bthe watch (goes|lives|lasts|down|itself|over)\b": "monitoring, the monitor",
    r"\bwhat (fires|stands|stood)\b": "firing alerts",
    r"\bwho (lives|is seen)\b|\b(processes|workers) live\b": "are running",
    r"\bone's own\b": "your own",
    r"\bthe (former|latter)('s)?\b": "name it",
    r"\b(as|when|until|unless) told\b": "by default, on request",
    r"\b(is|are|was|were) asked\b(?! to)": "who queries or requests what",
    r"\bgo(es)? on \w+ing\b": "still …, keeps …",
    r"\bturned away\b|\b(is|are) spared\b": "refused, not affected",
    r"\bwhat (is|was) (meant|said|asked)\b": "name it",
    r"\bcall(s|ed)? nobody\b|\bsays nothing again\b": "pages nobody, doesn't repeat",
    r"\bown words\b": "error message",
    r"\bstays? at home\b": "is not sent",
    r"\bnothing to write\b": "You write nothing",
}
READ = {
    "strings": partial(words.sources, docstrings=False),
    "docstrings": partial(words.sources, docstrings=True),
    "comments": words.comments,
    "templates": words.templates,
    "papers": words.papers,
    "built": words.built,
}
# What is not mended yet, by how its kind and path begin, with the reason. An entry goes
# when the last retired phrase under it does: the test below asks for that.
ALLOWED = {
    "papers:docs/glossary.md": "it lists the retired words",
}


def retired(text: str, *, docstring: bool = False) -> list[str]:
    """Return what is wrong with a text, each with a better word."""
    text = text.lower()
    patterns = RETIRED if docstring else RETIRED | ALSO_RETIRED
    return [
        f"{found[0]!r}: rather {instead}"
        for pattern, instead in patterns.items()
        if (found := re.search(pattern, text))
    ]


def allowed(place: str) -> str:
    return next((one for one in ALLOWED if place.startswith(one)), "")


@pytest.mark.parametrize("kind", READ)
def test_no_retired_phrase_is_read_by_a_person(kind: str) -> None:
    found, used = [], set()
    for piece in READ[kind]():
        wrong = retired(piece.text, docstring=kind in {"docstrings", "comments"})
        entry = allowed(f"{kind}:{piece.path}")
        if wrong and entry:
            used.add(entry)
        elif wrong:
            found.append(f"{piece.path}:{piece.line}: {'; '.join(wrong)}")
    assert not found, "\n".join(found)
    mine = {one for one in ALLOWED if one.startswith(f"{kind}:")}
    assert used == mine, f"mended, so no longer to be allowed: {sorted(mine - used)}"


@pytest.mark.parametrize(
    "text",
    [
        "Open one that no alert tells of",
        "That is not it.",
        "This monitor asks for its token",
        "Then it is not said again and nobody else is called, until it is over.",
        "The next word follows in 30 minutes.",
        "The trouble with ledger is over.",
        "Heartbeat: nobody listens",
        "ops told, accepted at once",
        "What you do",
        "None of 45 alerts fires",
        "Over after 14 min.",
        "waits for an answer",
        "No data is not good news.",
        "its series are missing, which proves no recovery",
        "What is going on now",
        "This link is not one of ours.",
        "What that rests on",
        "There are none: nobody is told of anything.",
        "42 of 42 rules have no drill of the last 30 days as they are now",
        "no message reached ops as configured now",
        "Metrics are closed to strangers",
        "tells, without hurry",
        "reaches no person",
        "A retry is none; the last try that fails is one.",
        "the bucket whose edge is the limit, so nothing is estimated",
        "lost ones had none",
        "Time to read a target",
        "these are pictures of now",
        "'foo' is no time: write now-6h",
        "Keep alerts that meet every MATCHER from everybody",
        "Of every rate: demos and tests.",
        "Lose edits of generated files.",
        "The built files of the monitor on this machine that is meant.",
        "2 the files or options will not do",
        "Print the answer as it came",
        "adds a seventh of what django-prometheus adds",
        "their look in Grafana is not",
        "Watch alive now",
        "Files read 15:49:54",
        "Nobody stands in local/contacts.yml yet",
        "with no worker alive too",
        "stay in force",
        "Whoever waits for it waits in vain",
        "nobody was woken: scraped",
        "… does not answer",
        "--url names another address",
        "until it does",
        "A link in a page answers for three days",
        "The month's budget will not last the month.",
        "Processes live and none counts the reads of any cache.",
        "The alerts that follow from it are held back while this one fires.",
        "Nothing is down, so nobody says so.",
        "Delete the folder to start anew.",
        "Of what the project does not have, nothing can be missing.",
        "the directory wants a line of its own",
        "a pager hears nothing unless told so",
        "an entry owes its next run",
        "a sibling that fires when it is blind",
        "the watch goes on",
        "buttons beside what fires",
        "Processes live and none counts its reads.",
        "rules of one's own",
        "with the former it asks /livez too",
        "unless told otherwise",
        "the database itself is asked",
        "the health addresses go on answering",
        "and none is turned away",
        "the files of the monitor: what is meant",
        "says nothing again until the group is over",
        "Why, in the server's own words",
        "Here they stay at home",
        "Nothing to write.",
    ],
)
def test_a_sentence_that_readers_stumbled_over_would_be_found(text: str) -> None:
    assert retired(text)
