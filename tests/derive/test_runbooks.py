"""Runbooks are used at night: their queries and commands are right as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from tests.support.plans import built, planned

from watchroom.cli import COMMANDS
from watchroom.derive import selectors

PAGES = {
    path: text
    for path, text in built(planned(select='team="shop"')).items()
    if path.startswith("runbooks/")
}

# Every program that a page may ask for, with the options it may be given: each looked
# up in its manual, so that nobody meets a usage text at night.
PROGRAMS = {
    "celery": {"-A", "-Q"},
    "cat": set(),
    "curl": {"-H", "-s", "-sv", "-o", "--max-time"},
    "df": {"-h", "-i"},
    "dmesg": {"--ctime"},
    "du": {"-xh", "-sh", "--max-depth"},
    "echo": set(),
    "find": {"-xdev", "-type", "-size", "-mtime", "-printf", "-exec", "-name"},
    "free": {"-m", "-h"},
    "grep": {"-A2", "-E", "-i", "-o", "-q", "-v"},
    "head": {"-n"},
    "journalctl": {"-n", "--no-pager", "-u", "--disk-usage", "--vacuum-size"},
    "kill": {"-TERM"},
    "ls": {"-l", "-lh"},
    "lsof": {"-nP"},
    "nproc": set(),
    "openssl": {"-connect", "-servername", "-noout", "-dates", "-issuer", "-subject"},
    "pg_isready": {"-d", "-h", "-p", "-t", "-U"},
    "pgrep": {"-af"},
    "ps": {"-eo", "--sort"},
    "psql": {"-c"},
    "python3": {"-m"},
    "redis-cli": {"-u"},
    "sort": {"-n", "-r", "-h", "-k"},
    "stat": {"-f"},
    "sudo": set(),
    "systemctl": {"--no-pager"},
    "tail": {"-n"},
    "top": {"-b", "-n"},
    "uptime": set(),
    "watchroom": set(),
    "xargs": set(),
}


def blocks(page, kind):
    return re.findall(rf"```{kind}\n(.*?)\n```", page, re.DOTALL)


@pytest.mark.parametrize("path", PAGES)
def test_the_commands_of_a_page_are_shell_and_meant_for_this_site(path):
    for command in blocks(PAGES[path], "sh"):
        done = subprocess.run(
            ["bash", "-n"], input=command, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, command + done.stderr
        assert "$" not in command.replace("$'", "")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_something_to_run_and_a_way_out(path):
    page = PAGES[path]
    assert blocks(page, "promql")
    diagnosis = page.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert blocks(diagnosis, "(?:sh|promql)")
    assert "\n- " in page.partition("## Mitigation")[2]
    assert re.search(r"watchroom drill|Not drilled: ", page)


@pytest.mark.parametrize("path", PAGES)
def test_the_queries_of_a_page_look_at_our_own_targets(path):
    for query in blocks(PAGES[path], "promql"):
        for selector in selectors.names(query, path):
            assert ("team", "=", "shop") in selector.matchers


def programs(command):
    """Yield the words of each program that a line of shell runs."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>()\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if set(word) <= set("|&;()\n"):
            if words:
                yield words
            words = []
        else:
            words.append(word)
    if words:
        yield words


@pytest.mark.parametrize("path", PAGES)
def test_the_programs_of_a_page_and_their_options_are_known(path):
    for block in blocks(PAGES[path], "sh"):
        for words in programs(block):
            if words[0] == "timeout":  # SECONDS, and then the program
                words = words[2:]  # noqa: PLW2901 - what it runs
            name = words[0]
            assert name in PROGRAMS, f"{path}: {name} is new: look it up, add it above"
            options = {
                word.split("=")[0]
                for word in words[1:]
                if re.fullmatch(r"--?[a-zA-Z][\w-]*(=.*)?", word)
            }
            assert options <= PROGRAMS[name], f"{path}: {name} {options}"
            if name == "watchroom":
                assert words[1] in COMMANDS, f"{path}: {words}"


@pytest.mark.parametrize("path", PAGES)
def test_what_a_page_has_to_be_told_first_says_so_in_capitals(path):
    for block in blocks(PAGES[path], "sh"):
        for word in re.findall(r"\b[A-Z]{2,}(?:-[A-Z]+)+\b", block):
            assert word.startswith("YOUR-"), f"{path}: {word}"
