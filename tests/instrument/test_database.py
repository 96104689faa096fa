"""Queries, through Django's own hook."""

from tests.support.app import counts, run

DURATION = "db_query_duration_seconds_count"


def test_queries_are_timed_by_alias_and_role(tmp_path):
    run(tmp_path, 'call("/work/")')

    assert counts(tmp_path).get(DURATION, alias="default", role="web") == 3


def test_a_query_that_raises_is_counted_and_raises(tmp_path):
    raised = run(
        tmp_path,
        """
from django.db.utils import OperationalError
try:
    connection.cursor().execute("select 1 from nowhere")
except OperationalError as error:
    show(str(error))
""",
    )

    found = counts(tmp_path)
    assert "nowhere" in raised
    assert found.get("db_query_errors_total", alias="default", role="web") == 1


def test_executemany_takes_a_generator(tmp_path):
    rows = run(
        tmp_path,
        """
cursor = connection.cursor()
cursor.execute("create table t (n int)")
cursor.executemany("insert into t values (%s)", ((n,) for n in range(3)))
cursor.execute("select count(*) from t")
show(cursor.fetchone())
""",
    )

    assert rows == [3]
    assert counts(tmp_path).get(DURATION, alias="default", role="web") == 3


def test_a_reconnect_installs_nothing_twice(tmp_path):
    run(
        tmp_path,
        """
for _ in range(3):
    connection.cursor().execute("select 1")
    connection.close()
    connection.connect()
""",
    )

    assert counts(tmp_path).get(DURATION, alias="default", role="web") == 3


def test_a_connection_made_inside_a_wrapper_block_keeps_ours(tmp_path):
    left = run(
        tmp_path,
        """
def theirs(execute, *args):
    return execute(*args)
with connection.execute_wrapper(theirs):
    connection.cursor().execute("select 1")
connection.cursor().execute("select 2")
show([theirs in connection.execute_wrappers, len(connection.execute_wrappers)])
""",
    )

    assert left == [False, 1]
    assert counts(tmp_path).get(DURATION, alias="default", role="web") == 2


def test_a_process_that_is_not_counted_times_nothing(tmp_path):
    run(tmp_path, 'connection.cursor().execute("select 1")', serve=False)

    assert not tmp_path.exists() or list(tmp_path.iterdir()) == []


def test_a_job_counts_as_a_command(tmp_path):
    run(
        tmp_path,
        """
import watchroom
with watchroom.job():
    connection.cursor().execute("select 1")
connection.cursor().execute("select 1")
""",
        serve=False,
    )

    found = counts(tmp_path)
    assert found.get(DURATION, alias="default", role="command") == 1
